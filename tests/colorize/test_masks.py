"""Masks of datasets from third-party plugins: no maps, RGB maps, and maps beside images in one file."""

import numpy as np
import pytest
from makers import make_picture, write_raster

from sattrans.colorize.masks import find_masks
from sattrans.errors import DatasetNotFound, UsageError

PLUGIN = """
from sattrans import Dataset, LandClass, Palette, Scene, hookimpl

class Odd(Dataset):
    recognises = classmethod(lambda cls, root: (root / "odd.txt").exists())

    def scenes(self):
        for path in sorted((self.root / "all").iterdir()):
            mask = None if self.name == "odd-lone" else path
            yield Scene(path.stem, path, mask, side_by_side=self.name == "odd-pairs")

    @property
    def palette(self):
        return None if self.name == "odd-pictures" else Palette((LandClass(1, "all", (1, 2, 3)),))

@hookimpl
def register_datasets(register):
    for name in {names}:
        register(type("Odd", (Odd,), {{"name": name}}))
"""
NAMES = ("odd-lone", "odd-pairs", "odd-pictures")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder for these datasets, and an installed plugin that registers them."""
    site = tmp_path / "site"
    info = site / "odd_datasets-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "odd_datasets.py").write_text(PLUGIN.format(names=NAMES))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-datasets\nVersion: 1.0\n")
    points = "".join(f"{name} = odd_datasets\n" for name in NAMES)
    (info / "entry_points.txt").write_text(f"[sattrans.datasets]\n{points}")
    monkeypatch.syspath_prepend(str(site))
    for number in range(2):
        write_raster(tmp_path / "d" / "all" / f"{number}.tif", make_picture(np.full((20, 20), number, np.uint8)))
    return tmp_path / "d"


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("odd-lone", "read as dataset 'odd-lone', has no maps"),
        ("odd-pairs", "maps and images side by side in one file"),
        ("odd-pictures", "dataset 'odd-pictures' has maps without classes: there is nothing to colour"),
    ],
)
def test_a_dataset_without_masks_is_refused(root, dataset, message):
    with pytest.raises(UsageError, match=message):
        find_masks(root, dataset)


def test_masks_of_a_dataset_of_rgb_maps_have_no_classes(root):
    with pytest.raises(UsageError, match="'odd-pictures' has maps without classes"):
        find_masks(root / "all", "odd-pictures")


def test_an_empty_folder_is_not_a_dataset(tmp_path):
    with pytest.raises(DatasetNotFound, match="no dataset recognises"):
        find_masks(tmp_path)
