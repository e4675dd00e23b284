"""Styles: which scene a map resembles, and names that a run does not know."""

import json

import pytest

from sattrans.errors import OptionError
from sattrans.model import TileSpec
from sattrans.runs.run import Run
from sattrans.runs.styles import AUTO, check_style

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


def test_a_style_that_a_run_has_is_taken():
    check_style("winter", SPEC, "projected", styled=True)
    check_style(AUTO, SPEC, "projected", styled=True)
    check_style(AUTO, TileSpec(64, 3), "pix2pix", styled=False)


def test_a_style_that_a_run_has_not_is_refused_with_what_was_meant():
    with pytest.raises(
        OptionError, match=r"--style somer: the run was trained on no such scene; did you mean 'summer'\?$"
    ):
        check_style("somer", SPEC, "projected", styled=True)
    many = TileSpec(64, 3, scenes=tuple(f"scene-{number}" for number in range(9)))
    with pytest.raises(OptionError, match="scene-3, scene-4 and 4 more$"):
        check_style("x", many, "projected", styled=True)


@pytest.mark.parametrize(("styled", "spec"), [(False, SPEC), (True, TileSpec(64, 3))])
def test_a_model_or_run_without_styles_refuses_them(styled, spec):
    with pytest.raises(OptionError, match="--style spring: model 'mine' has no styles; leave the option out"):
        check_style("spring", spec, "mine", styled)


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
