import inspect
import re

import pytest

from sattrans import errors
from sattrans.errors import (
    AlignmentError,
    ClassesError,
    Interrupted,
    OptionError,
    RasterError,
    SattransError,
    UsageError,
    did_you_mean,
)

CLASSES = {name: c for name, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, SattransError)}


def drawn_tree():
    """Return name -> (parent's name, builtin's name or None), read off the docstring."""
    tree, path = {}, []
    for line in errors.__doc__.splitlines():
        drawn = re.match(r"^    ([│ ├└─]*)([A-Z]\w+)(?: \((\w+)\))?  ", line + "  ")
        if drawn:
            depth = len(drawn[1]) // 4
            path = [*path[:depth], drawn[2]]
            tree[drawn[2]] = (path[-2] if depth else None, drawn[3])
    return tree


def test_the_tree_in_the_docstring_is_the_tree_of_classes():
    parents = {
        name: next((b.__name__ for b in c.__bases__ if b in CLASSES.values()), None) for name, c in CLASSES.items()
    }
    assert {name: parent for name, (parent, _) in drawn_tree().items()} == parents


def test_builtins_drawn_beside_a_class_are_its_bases():
    builtins = {name: builtin for name, (_, builtin) in drawn_tree().items() if builtin}
    assert builtins == {"RasterError": "OSError"}
    assert issubclass(RasterError, OSError)


def test_every_error_says_what_it_is_for():
    assert all(c.__doc__ for c in CLASSES.values())


def test_exit_codes_are_2_for_what_was_asked_wrongly_and_1_for_what_failed():
    codes = {name: c.exit_code for name, c in CLASSES.items() if c is not Interrupted}
    assert codes == {name: 2 if issubclass(c, UsageError) else 1 for name, c in CLASSES.items() if c is not Interrupted}
    assert Interrupted("stopped", 128 + 15).exit_code == 143


def test_python_callers_can_catch_builtins():
    for own, builtin in ((AlignmentError, OSError), (ClassesError, ValueError), (OptionError, ValueError)):
        with pytest.raises(builtin, match="what is wrong"):
            raise own("what is wrong")


def test_a_raster_error_keeps_its_message_though_it_is_an_os_error():
    assert str(RasterError("a.tif is cut short")) == "a.tif is cut short"


def test_did_you_mean_names_the_nearest_or_all():
    assert did_you_mean("resee", ["pix2pix", "resse", "wgan"]) == "; did you mean 'resse'?"
    assert did_you_mean("RESSE", ["pix2pix", "resse", "wgan"]) == "; did you mean 'resse'?"
    assert did_you_mean("mae", ["MAE", "SAM"]) == "; did you mean 'MAE'?"
    assert did_you_mean("zzz", ["b", "a"]) == "; available: a, b"
    assert did_you_mean("zzz", []) == ""
