"""Styles: which scene a map resembles, and names that a run does not know."""

import json
from pathlib import Path

import pytest

from sattrans.errors import OptionError
from sattrans.model import Model, TileSpec
from sattrans.runs.run import Run
from sattrans.runs.styles import AUTO, check_style, reference_of

SHARES = ((0.8, 0.2, 0.0), (0.1, 0.1, 0.8), (0.4, 0.4, 0.2))
SPEC = TileSpec(64, 3, classes=3, scenes=("spring", "summer", "winter"), shares=SHARES)


@pytest.mark.parametrize(
    ("shares", "nearest"),
    [(SHARES[0], 0), (SHARES[1], 1), (SHARES[2], 2), ((1, 0, 0), 0), ((0, 0.2, 0.8), 1), ((0.45, 0.45, 0.1), 2)],
)
def test_the_scene_with_the_likest_classes_is_nearest(shares, nearest):
    assert SPEC.nearest_scene(shares) == nearest


def test_of_scenes_that_are_as_like_the_first_is_nearest():
    even = TileSpec(64, 2, classes=2, scenes=("a", "b"), shares=((0.5, 0.5), (0.5, 0.5)))
    assert even.nearest_scene((1, 0)) == 0
    assert TileSpec(64, 3, scenes=("a", "b")).nearest_scene(()) == 0  # nothing is known of its scenes' maps


def kind(name, styled=False, encodes_styles=False):
    return type("Kind", (Model,), {"name": name, "styled": styled, "encodes_styles": encodes_styles})


PROJECTED, SPADE, PIX2PIX = kind("projected", styled=True), kind("spade", True, True), kind("pix2pix")


def test_a_style_that_a_run_has_is_taken():
    check_style("winter", SPEC, PROJECTED)
    check_style(AUTO, SPEC, PROJECTED)
    check_style(AUTO, TileSpec(64, 3), PIX2PIX)


def test_an_image_is_a_style_for_a_model_that_encodes_it_and_a_scene_goes_before_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "winter").write_bytes(b"a file with the name of a scene")
    (tmp_path / "photo.tif").write_bytes(b"")
    assert reference_of("photo.tif", SPEC) == Path("photo.tif")
    assert reference_of("winter", SPEC) is reference_of(AUTO, SPEC) is reference_of("none.tif", SPEC) is None
    check_style("photo.tif", SPEC, SPADE)
    check_style("photo.tif", TileSpec(64, 3), SPADE)
    with pytest.raises(OptionError, match="model 'projected' takes no style from an image; name a training scene$"):
        check_style("photo.tif", SPEC, PROJECTED)
    with pytest.raises(OptionError, match="model 'pix2pix' takes no style from an image; leave the option out$"):
        check_style("photo.tif", SPEC, PIX2PIX)
    with pytest.raises(OptionError, match="--style photo.tof: .* no such scene, and there is no such image"):
        check_style("photo.tof", SPEC, SPADE)


def test_a_style_that_a_run_has_not_is_refused_with_what_was_meant():
    with pytest.raises(
        OptionError, match=r"--style somer: the run was trained on no such scene; did you mean 'summer'\?$"
    ):
        check_style("somer", SPEC, PROJECTED)
    many = TileSpec(64, 3, scenes=tuple(f"scene-{number}" for number in range(9)))
    with pytest.raises(OptionError, match="scene-3, scene-4 and 4 more$"):
        check_style("x", many, PROJECTED)


@pytest.mark.parametrize(("styled", "spec"), [(False, SPEC), (True, TileSpec(64, 3))])
def test_a_model_or_run_without_styles_refuses_them(styled, spec):
    with pytest.raises(OptionError, match="--style spring: model 'mine' has no styles; leave the option out"):
        check_style("spring", spec, kind("mine", styled))


def test_a_run_of_a_version_without_scenes_is_opened(tmp_path):
    body = {"spec": {"size": 64, "source_channels": 3, "target_channels": 3}}
    spec = Run(tmp_path, body).spec
    assert spec == TileSpec(64, 3)
    assert (spec.scenes, spec.shares, spec.tiles) == ((), (), 0)


def test_scenes_and_shares_survive_the_manifest(tmp_path):
    from dataclasses import asdict

    body = json.loads(json.dumps({"spec": asdict(SPEC)}))
    assert Run(tmp_path, body).spec == SPEC
    hash(Run(tmp_path, body).spec)  # frozen, as the model was built with
