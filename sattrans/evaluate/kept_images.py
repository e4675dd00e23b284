"""Images of a source that are made once and kept on disk."""

from collections.abc import Iterator, Sequence

from torch import Tensor, tensor

from sattrans.evaluate.images import ImageSource, RealImages
from sattrans.evaluate.scoring import CACHE_CHUNK, MeasurementCache
from sattrans.utils.console import progress_bar
from sattrans.utils.hashing import hash_of


class KeptImages(ImageSource):
    """The images of a source, each made once: a cache keeps them, so that an interruption loses a few at most.

    Args:
        source: Makes the images; it is asked for numbers of the real images.
        real: The real images.
        cache: Where the images are kept.
        more: What decides the images beside the two, such as the version of a model.
    """

    def __init__(self, source: ImageSource, real: RealImages, cache: MeasurementCache, *more: str) -> None:
        self.name, self.folder, self.about = source.name, source.folder, source.about
        self.key = hash_of("generated", real.key, source.key, *more)
        self._source, self._count, self._cache = source, len(real), cache

    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield the images (3, H, W) uint8 of these numbers; those that are not kept yet are made."""
        kept = {number: self._load(number) for number in numbers}
        made = self._source.images([number for number, image in kept.items() if image is None])
        for number in numbers:
            image = kept[number]
            if image is None:
                image = next(made).cpu()
                self._cache.store(self.key, [number], {"image": image.numpy()[None]})
            yield image

    @property
    def kept(self) -> int:
        """How many images are kept."""
        return sum(self._load(number) is not None for number in range(self._count))

    def make(self) -> Iterator[Tensor]:
        """Yield all images in their order, and show the progress."""
        with progress_bar(self._count, f"images of {self.name}", "image") as progress:
            for start in range(0, self._count, CACHE_CHUNK):
                for image in self.images(range(start, min(start + CACHE_CHUNK, self._count))):
                    progress.update()
                    yield image

    def _load(self, number: int) -> Tensor | None:
        rows = self._cache.load(self.key, [number])
        return None if rows is None else tensor(rows["image"][0])
