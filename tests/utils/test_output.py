"""An output on disk: what is at its path, what the same command and --overwrite do, and how others' files are left."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from sattrans.errors import LockedError, OptionError, OutputExists, SattransError
from sattrans.utils.folder_output import FolderOutput
from sattrans.utils.lock import lock
from sattrans.utils.manifest import begun_of
from sattrans.utils.output import check_apart, check_folder, difference


class ThingOutput(FolderOutput):
    manifest = "a.json"
    kind = "thing"
    version = 1
    sets_aside = True

    def begin(self, resumed):
        super().begin(resumed)
        if not resumed:
            self.write_begun({"options": dict(self.options)})


def thing(path, overwrite=False, **options):
    return ThingOutput(path, {"size": 64, "seed": 0, **options}, overwrite=overwrite)


def make(path, name="kept.txt", **options):
    output = thing(path, **options)
    with output.claim():
        (path / name).write_text("worth keeping")
        output.finish()
    return output


def interrupt(output, error=KeyboardInterrupt):
    with output.claim() as resumed:
        assert not resumed and begun_of(output.path / "a.json").exists()
        assert not (output.path / "a.json").exists()
        raise error


def test_the_same_options_pass_and_other_options_are_named():
    assert difference(Path("x"), {"size": 64, "seed": 0}, {"seed": 0, "size": 64}) is None
    refusal = str(difference(Path("x"), {"size": 64, "seed": 0}, {"size": 128, "seed": 0, "overlap": 4}))
    assert "size: 64 before, 128 now" in refusal and "overlap: none before, 4 now" in refusal
    assert "seed" not in refusal and "--overwrite" in refusal


def test_an_output_of_another_command_is_called_so():
    refusal = difference(Path("x.tif"), {"map": "m", "run": "r", "blend": "hann"}, {"tiles": "3", "blend": "mean"})
    assert str(refusal).startswith("x.tif was made by another sattrans command; choose another output, or")


def test_a_folder_goes_from_absent_over_unfinished_to_finished(tmp_path):
    output = thing(tmp_path / "t")
    assert output.state == "absent" and not output.is_finished()
    with pytest.raises(KeyboardInterrupt):
        interrupt(output)
    assert output.state == "unfinished" and not output.is_finished()
    with output.claim() as resumed:
        assert resumed
        output.finish()
    assert output.state == "finished" and output.is_finished()
    assert not begun_of(tmp_path / "t" / "a.json").exists()


def test_other_options_are_refused_finished_or_not_and_overwrite_replaces(tmp_path):
    make(tmp_path / "t")
    other = thing(tmp_path / "t", seed=1)
    assert other.state == "other options"
    with pytest.raises(OutputExists, match="seed: 0 before, 1 now"):
        other.is_finished()
    replacing = make(tmp_path / "t", "new.txt", overwrite=True, seed=1)
    assert replacing.state == "finished"
    assert not (tmp_path / "t" / "kept.txt").exists() and (tmp_path / "t" / "new.txt").exists()
    assert not replacing.aside.exists()
    with pytest.raises(KeyboardInterrupt):
        interrupt(thing(tmp_path / "u"))
    with pytest.raises(OutputExists, match="seed: 0 before, 1 now"):
        thing(tmp_path / "u", seed=1).check()


def test_an_error_puts_back_what_overwrite_set_aside(tmp_path):
    make(tmp_path / "t")
    replacing = thing(tmp_path / "t", overwrite=True, seed=1)
    with pytest.raises(RuntimeError):
        interrupt(replacing, RuntimeError)
    assert (tmp_path / "t" / "kept.txt").read_text() == "worth keeping"
    assert thing(tmp_path / "t").state == "finished" and not replacing.aside.exists()


def test_a_second_writer_is_refused_and_a_check_makes_nothing(tmp_path):
    output = thing(tmp_path / "t")
    output.check()
    assert list(tmp_path.iterdir()) == []
    with lock(tmp_path / "t"), pytest.raises(LockedError, match="process"), thing(tmp_path / "t").claim():
        pass


def test_a_damaged_manifest_is_refused_and_overwrite_replaces_it(tmp_path):
    make(tmp_path / "t")
    (tmp_path / "t" / "a.json").write_text("{")
    assert thing(tmp_path / "t").state == "damaged"
    with pytest.raises(SattransError, match=r"a\.json"):
        thing(tmp_path / "t").is_finished()
    make(tmp_path / "t", overwrite=True)
    assert thing(tmp_path / "t").state == "finished"


def test_a_file_where_a_folder_belongs_is_refused(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(OptionError, match="is a file"):
        check_folder(tmp_path / "a")
    check_folder(tmp_path)
    check_folder(tmp_path / "new")


@pytest.mark.parametrize("own", ["a.json", "a.json.begun", "a.json.part", "a.json.begun.part"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_files_is_never_touched(tmp_path, own, overwrite):
    output = thing(tmp_path, overwrite=overwrite)
    thing(tmp_path / "new", overwrite=overwrite).check_own()
    output.check_own()
    (tmp_path / own).write_text("")
    output.check_own()
    (tmp_path / "more").write_text("")
    if own.endswith(".part"):  # which alone does not say who wrote the rest
        with pytest.raises(OutputExists, match="holds files that sattrans did not make; choose another output"):
            output.check_own()
        assert output.state == "foreign"
    else:
        output.check_own()


@pytest.mark.parametrize(
    ("output", "read", "message"),
    [
        ("in/images", ["in/images"], "is what the command reads"),
        ("in/images/a.tif", ["in/images/a.tif"], "is what the command reads"),
        ("in/images/new", ["in/images"], "would lie in .*images, which the command reads"),
        ("in/images/new/er/x.tif", ["in/images"], "would lie in"),
        ("in", ["in/images/a.tif"], "holds .*a.tif, which the command reads"),
        ("link", ["in/images"], "is what the command reads"),
        ("link/new", ["in/images"], "would lie in"),
        ("in/../in/images", ["in/images"], "is what the command reads"),
        ("in/new", ["link"], None),
        ("in/images-2", ["in/images"], None),
        ("in/images/x.tif", ["in/images/a.tif"], None),
    ],
)
def test_an_output_lies_neither_in_nor_around_what_is_read(output, read, message, tmp_path):
    (tmp_path / "in" / "images").mkdir(parents=True)
    (tmp_path / "in" / "images" / "a.tif").touch()
    (tmp_path / "link").symlink_to("in/images")
    with pytest.raises(OutputExists, match=message) if message else nullcontext() as refused:
        check_apart(tmp_path / output, [tmp_path / path for path in read])
    if message:
        assert "--overwrite" not in str(refused.value)


def test_folders_within_a_folder_of_which_only_the_files_are_read_are_free(tmp_path):
    check_apart(tmp_path / "maps" / "out", [tmp_path / "maps"], below=False)
    with pytest.raises(OutputExists):
        check_apart(tmp_path / "maps", [tmp_path / "maps"], below=False)
