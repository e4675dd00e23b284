"""Own data as it lies on disks: what is an image, what a mask, what belongs together, and what is refused."""

import pytest

from sattrans.data.layout import find_layout, globbed_layout, has_layout
from sattrans.errors import DatasetNotFound


@pytest.fixture
def lay(tmp_path):
    """Return a function that makes empty files, and returns their folder."""

    def make(*paths):
        for path in paths:
            for number in (1, 2):
                file = tmp_path / path.replace("#", str(number))
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
        return tmp_path

    return make


def pairs_of(layout, root):
    return {
        scene.id: tuple(path.relative_to(root).as_posix() if path else None for path in (scene.image, scene.map))
        for scene in layout.scenes
    }


@pytest.mark.parametrize("image", ["images", "imgs", "img", "sat", "rgb", "photos", "chips", "ortho", "Images"])
@pytest.mark.parametrize("mask", ["masks", "labels", "gt", "annotations", "label", "binarymasks", "segmentation", "GT"])
def test_folders_of_the_usual_names_hold_images_and_masks(image, mask, lay):
    root = lay(f"{image}/a#.tif", f"{mask}/a#.png", "docs/a#.png")
    assert pairs_of(find_layout(root), root) == {f"a{n}": (f"{image}/a{n}.tif", f"{mask}/a{n}.png") for n in (1, 2)}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("#_sat.jpg", "#_mask.png"),
        ("#_image.tif", "#_label.tif"),
        ("#-rgb.tif", "#-gt.tif"),
        ("image_#.png", "mask_#.png"),
        ("#.jpg", "#_mask.png"),
        ("#_sat.tif", "#.tif"),
        ("images/#.jpg", "masks/#_mask.png"),
        ("images/image_#.tif", "labels/label_#.tif"),
        ("#.jpg", "#.png"),
        ("2_Ortho_RGB/top_#_RGB.tif", "5_Labels_all/top_#_label.tif"),
        ("archive/images/#.tif", "archive/masks/#.tif"),
        ("images/city/#.tif", "masks/city/#.tif"),
        ("images/city/#.tif", "masks/#.tif"),
    ],
)
def test_words_in_names_say_what_belongs_together(image, mask, lay):
    root = lay(image, mask)
    found = pairs_of(find_layout(root), root)
    assert list(found.values()) == [(image.replace("#", n), mask.replace("#", n)) for n in "12"]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}/images/#.tif", "{}/masks/#.tif"),
        ("images/{}/#.tif", "masks/{}/#.tif"),
        ("{}/#.png", "{}_labels/#.png"),
        ("{}_images/#.png", "{}_masks/#.png"),
        ("{}/#.png", "{}annot/#.png"),
        ("{}/#_sat.jpg", "{}/#_mask.png"),
        ("images/{}/#.tif", "masks/#.tif"),
    ],
)
@pytest.mark.parametrize(("word", "split"), [("train", "train"), ("valid", "val"), ("testing", "test")])
def test_folders_of_splits_inside_or_outside_are_the_published_split(image, mask, word, split, lay):
    root = lay(image.format(word), mask.format(word))
    layout = find_layout(root)
    assert [scene.map is not None for scene in layout.scenes] == [True, True]
    assert set(layout.split_of.values()) == {split}
    assert len(layout.split_of) == 2


def test_deepglobe_has_masks_for_training_alone(lay):
    root = lay("train/#_sat.jpg", "train/#_mask.png", "valid/7#_sat.jpg", "test/8#_sat.jpg")
    layout = find_layout(root)
    assert pairs_of(layout, root)["1"] == ("train/1_sat.jpg", "train/1_mask.png")
    assert sorted(id_ for id_, (_, mask) in pairs_of(layout, root).items() if mask is None) == [
        "71_sat",
        "72_sat",
        "81_sat",
        "82_sat",
    ]
    assert layout.split_of == {"1": "train", "2": "train"}
    assert layout.taken == (
        f"{root}: 2 images train/*_sat.jpg with masks train/*_mask.png; 4 images of test/*_sat.jpg, valid/*_sat.jpg "
        "without masks"
    )


def test_equal_names_in_two_splits_or_cities_become_different_ids(lay):
    root = lay("train/images/#.tif", "train/masks/#.tif", "val/images/#.tif", "val/masks/#.tif")
    assert list(find_layout(root).split_of) == ["train_1", "train_2", "val_1", "val_2"]


def test_plain_folders_need_no_note(lay):
    assert find_layout(lay("images/#.tif", "masks/#.png")).taken == ""


def test_an_accent_may_be_a_sign_of_its_own(lay):
    root = lay("images/M\u00fcnchen#.tif", "masks/Mu\u0308nchen#.tif")
    assert [scene.id for scene in find_layout(root).scenes] == ["M\u00fcnchen1", "M\u00fcnchen2"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (("images/#.tif", "masks/#.tif", "labels/#.tif"), "each of labels, masks could hold the masks; say which with"),
        (("images/#.tif", "rgb/#.tif", "masks/#.tif"), "each of images, rgb could hold the images"),
        (("trainA/#.jpg", "trainB/#.jpg"), r"trainA, trainB holds the maps; say it with --images 'trainA/\*' --masks"),
        (
            ("train/images/#.tif", "val/masks/#.tif"),
            r"mask .*val/masks/1\.tif has no partner in .*if these belong together, say",
        ),
        (("images/a#.tif", "masks/a1.tif"), r"image .*images/a2\.tif has no partner in .*masks"),
        (("images/a#.tif", "images/a1.png", "masks/a#.tif"), r"a1\.png and a1\.tif have the same stem"),
        (("things/#.tif", "README.md"), "no dataset recognises"),
    ],
)
def test_what_is_ambiguous_or_lacks_a_partner_is_refused_with_what_to_do(paths, message, lay):
    with pytest.raises(DatasetNotFound, match=message):
        find_layout(lay(*paths))


@pytest.mark.parametrize("paths", [("train/#.jpg",), ("train/#.jpg", "val/#.jpg"), ("#.tif",), ("images/#.tif",)])
def test_pictures_without_masks_are_no_layout(paths, lay):
    assert not has_layout(lay(*paths))


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("trainA/*", "trainB/*"),
        ("train/images/*.tif", "val/masks/*"),
        ("photos of town/*.jpg", "maps/*/*.png"),
        ("**/*_mask2.tif", "**/*_x.png"),
    ],
)
def test_globs_tell_what_names_do_not(images, masks, lay):
    paths = [glob.replace("**", "any/where").replace("/*/", "/sub/").replace("*", "#") for glob in (images, masks)]
    paths = [path if "." in path else f"{path}.jpg" for path in paths]
    root = lay(*[path.replace("_mask2", "_a_mask").replace("_x", "_a_label") for path in paths])
    images, masks = images.replace("_mask2", "_a_mask"), masks.replace("_x", "_a_label")
    assert len(globbed_layout(root, images, masks).scenes) == 2


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        ("nowhere/*", "masks/*", r"--images nowhere/\* selects no file"),
        (".", "masks/*", r"--images \. is the folder itself; give a glob of files such as images/\*\.tif"),
        ("images/*", "./", r"--masks \./ is the folder itself"),
        ("images/*", "images/*", "both select"),
        ("images/*", "/abs/*", r"--masks /abs/\*: .*relative"),
        ("images/*", "masks/1*", r"image .*2\.tif has no partner"),
    ],
)
def test_globs_that_select_wrongly_are_refused(images, masks, message, lay):
    with pytest.raises(DatasetNotFound, match=message):
        globbed_layout(lay("images/#.tif", "masks/#.tif"), images, masks)
