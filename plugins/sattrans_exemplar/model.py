"""The exemplar model: images put together from patches of the training tiles."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from sattrans.model import Batch, Model, ModelOptions, Noise, TileSpec, TrainDefaults, Update
from sattrans_exemplar.blocks import CONTEXT, LARGEST, Blocks, Cache, Settings, cache_of_pieces
from sattrans_exemplar.cuts import Pieces
from sattrans_exemplar.placing import unlike
from sattrans_exemplar.sources import Sources, classes_of


class Collage(nn.Module):
    """What `translate` runs: training tiles, and the blocks that were put together of them last."""

    def __init__(self, spec: TileSpec, fidelity: float) -> None:
        super().__init__()
        self.spec, self.fidelity = spec, fidelity
        self.sources = Sources(spec)
        self._cache: tuple[object, Cache[Pieces]] | None = None

    @property
    def cache(self) -> Cache[Pieces]:
        """The blocks of the sources as they are now."""
        index = self.sources.index
        if self._cache is None or self._cache[0] is not index:
            self._cache = index, cache_of_pieces()
        return self._cache[1]

    def forward(self, source: Tensor, noise: Noise) -> Tensor:
        """Translate maps (N, K, S + 2 * CONTEXT, …) into images (N, 3, S, S)."""
        images = [
            self._image(map_, origin, noise) for map_, origin in zip(classes_of(source), noise.origins, strict=True)
        ]
        return torch.from_numpy(np.stack(images)).to(source.device)

    def blocks(self, map_: NDArray[np.uint8], origin: tuple[int, int], noise: Noise) -> Blocks:
        """Return the blocks of a window whose map, with its context, is (S + 2 * CONTEXT, …)."""
        style = noise.style
        inner = map_[CONTEXT:-CONTEXT, CONTEXT:-CONTEXT]
        if style is None and self.spec.scenes:
            counts = np.bincount(inner.ravel(), minlength=256)[: self.spec.classes]
            style = self.spec.nearest_scene((counts / max(1, counts.sum())).tolist()) if self.spec.shares else 0
        settings = Settings(noise.seed, style, self.fidelity)
        at = origin[0] - CONTEXT, origin[1] - CONTEXT
        return Blocks(self.sources.index, self.cache, settings, map_, at, min(LARGEST, len(inner)))

    def tiles(self, source: Tensor, noise: Noise) -> Tensor:
        """Return the number of the training tile of each pixel, (N, S, S)."""
        found = [self._tiles(map_, at, noise) for map_, at in zip(classes_of(source), noise.origins, strict=True)]
        return torch.from_numpy(np.stack(found))

    def _tiles(self, map_: NDArray[np.uint8], origin: tuple[int, int], noise: Noise) -> NDArray[np.int32]:
        blocks = self.blocks(map_, origin, noise)
        size = len(map_) - 2 * CONTEXT
        numbers = np.full((size, size), -1, np.int32)
        for row in range(0, size, blocks.side):
            for col in range(0, size, blocks.side):
                shown = blocks.shown(CONTEXT + row, CONTEXT + col)
                numbers[row : row + blocks.side, col : col + blocks.side] = self.sources.tile_of(shown.source)
        return numbers

    def _image(self, map_: NDArray[np.uint8], origin: tuple[int, int], noise: Noise) -> NDArray[np.float32]:
        blocks = self.blocks(map_, origin, noise)
        size = len(map_) - 2 * CONTEXT
        image = np.empty((3, size, size), np.float32)
        for row in range(0, size, blocks.side):
            for col in range(0, size, blocks.side):
                part = blocks.image(CONTEXT + row, CONTEXT + col)
                image[:, row : row + blocks.side, col : col + blocks.side] = part
        clipped: NDArray[np.float32] = np.clip(image / np.float32(127.5) - 1, -1, 1)
        return clipped


class Exemplar(Model):
    """Puts images together from patches of the training tiles, chosen by the map around them and joined by graph cuts.

    Training only keeps the tiles and finds the axes of the descriptors; there is nothing to optimise.
    """

    name = "exemplar"
    title = "exemplar: real patches of the training tiles, chosen by the map and joined by graph cuts"
    paper = (
        "Kwatra, Schödl, Essa, Turk, Bobick: Graphcut Textures, SIGGRAPH 2003, https://doi.org/10.1145/882262.882264; "
        "Hertzmann et al.: Image Analogies, SIGGRAPH 2001, https://doi.org/10.1145/383259.383295"
    )
    defaults = TrainDefaults(steps=1, batch_size=1, monitor="unlike", schedule="constant", ema=0)
    context = CONTEXT
    random = styled = copies = True

    class Options(ModelOptions):
        """The options of the exemplar model."""

        source: Literal["auto", "onehot"] = Field("auto", description="one channel a class; auto is the same")
        fidelity: float = Field(
            1.0, ge=0.1, le=10, description="how much the map counts, against a picture without seams"
        )

    options: Options
    generator: Collage

    def __init__(self, spec: TileSpec, options: Options) -> None:
        super().__init__(spec, options)
        self.options = options
        self.generator = Collage(spec, options.fidelity)

    def optimizers(self) -> dict[str, Optimizer]:
        """Return none: nothing is optimised."""
        return {}

    def prepare(self, tiles: Sequence[Batch]) -> None:
        """Keep the training tiles."""
        self.generator.sources.keep(tiles)

    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Yield no update."""
        yield from ()

    def translate(self, source: Tensor, noise: Noise) -> Tensor:
        """Put images together, in the style of `noise.style`, or of the scene with the likest map."""
        image: Tensor = self.generator(source, noise)
        return image

    def sources(self, source: Tensor, noise: Noise) -> Tensor:
        """Return which training tile each pixel is from, before seams are hidden in the gradient domain."""
        return self.generator.tiles(source, noise)

    def validation_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return `unlike`: how unlike the map around patches is to that of the most like training patches.

        It is the root of the mean squared distance, in the difference of one class's whole share in one cell of a map.
        """
        sources = self.generator.sources
        found = [unlike(sources.index, map_) for map_ in classes_of(batch.source)]
        return {"unlike": torch.tensor(float(np.sqrt(np.mean(found))) / float(sources.units[0]))}
