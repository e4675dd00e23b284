import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sattrans.errors import LockedError, OptionError, SattransError
from sattrans.utils.atomic import atomic, now, part_of, put, remove, write_bytes, write_json
from sattrans.utils.hashing import sha256
from sattrans.utils.lock import lock
from sattrans.utils.manifest import (
    begun_of,
    is_unfinished,
    read_manifest,
    write_manifest,
)
from sattrans.utils.version import __version__

NOWHERE = Path("/proc/foo")


class Stopped(BaseException):
    """Stands for a signal: no `except Exception` catches it."""


HOLD = """
import sys
from pathlib import Path
from sattrans.utils.lock import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `out` until it is told, or killed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def write_half(path, error):
    with atomic(path) as part:
        part.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, Stopped])
def test_atomic_leaves_nothing_after_an_error(tmp_path, error):
    with pytest.raises(error):
        write_half(tmp_path / "deep" / "a.txt", error)
    assert list((tmp_path / "deep").iterdir()) == []


def test_atomic_keeps_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(Stopped):
        write_half(path, Stopped)
    assert path.read_text() == "old"
    with atomic(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]  # noqa: PTH208


def test_atomic_says_so_when_nothing_was_written(tmp_path):
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "a.txt"):
        pass


@pytest.mark.parametrize("write", [write_bytes, put])
@pytest.mark.parametrize("old", [None, b"old"])
def test_what_cannot_be_written_whole_is_an_error_that_names_the_file_and_changes_nothing(tmp_path, write, old):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a"
    if old:
        path.write_bytes(old)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # Python ignores the signal of a file that may not grow
    try:
        with pytest.raises(OSError, match=str(path)):
            write(path, bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([old] if old else [])


def test_a_part_and_a_begun_manifest_stand_beside_what_they_become(tmp_path):
    assert part_of(tmp_path / "sat.tif") == tmp_path / "sat.tif.part"
    assert begun_of(tmp_path / "tileset.json") == tmp_path / "tileset.json.begun"


@pytest.mark.parametrize("nameless", [True, False])
def test_put_writes_all_with_or_without_a_name_meanwhile_and_replaces_what_is_there(tmp_path, monkeypatch, nameless):
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / "deep" / "a"
    for data in (b"", b"old", bytes(range(256)) * 5000):
        put(path, data)
        assert path.read_bytes() == data
        assert os.listdir(path.parent) == ["a"]  # noqa: PTH208
    (tmp_path / "b").touch()  # as any other file is made: what the umask leaves
    assert path.stat().st_mode == (tmp_path / "b").stat().st_mode


def test_json_is_utf8_in_its_own_order_and_holds_no_nan(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": "Łódź", "a": 1})
    assert path.read_bytes().decode() == '{\n  "b": "Łódź",\n  "a": 1\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text())["a"] == 1


def test_sha256_is_that_of_the_bytes(tmp_path):
    data = bytes(range(256)) * 5000
    write_bytes(tmp_path / "a", data)
    assert sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_now_is_utc_and_sorts_by_time_as_text():
    stamps = [now() for _ in range(50)]
    assert stamps == sorted(stamps)
    assert all(len(stamp) == len(stamps[0]) for stamp in stamps)
    assert datetime.fromisoformat(stamps[0]).utcoffset() == timedelta(0)


def test_remove_takes_files_folders_and_what_is_not_there_but_never_what_a_link_points_to(tmp_path):
    folder, link = tmp_path / "real", tmp_path / "link"
    (folder / "deep").mkdir(parents=True)
    link.symlink_to(folder)
    remove(link)
    assert folder.is_dir() and not link.is_symlink()
    remove(folder)
    remove(folder)
    assert not folder.exists()


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path, holder):
    with pytest.raises(LockedError) as refused, lock(tmp_path / "out"):
        pass
    assert str(holder.pid) in str(refused.value)
    assert socket.gethostname() in str(refused.value)
    assert str(tmp_path / "out") in str(refused.value)


def test_a_refused_process_does_not_take_the_lock_away_from_its_holder(tmp_path, holder):
    for _ in range(2):
        with pytest.raises(LockedError, match=str(holder.pid)), lock(tmp_path / "out"):
            pass


def test_a_process_that_waits_has_the_lock_once_the_holder_is_done(tmp_path, holder, monkeypatch):
    messages = []

    def waiting(message, *of):
        messages.append(message % of)
        holder.communicate("")

    monkeypatch.setattr("sattrans.utils.lock.log.info", waiting)
    with lock(tmp_path / "out", wait=True):
        assert str(os.getpid()) in (tmp_path / ".out.lock").read_text()
    assert len(messages) == 1 and messages[0].endswith("waiting for it") and str(holder.pid) in messages[0]
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_does_not_block(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".out.lock").exists()
    with lock(tmp_path / "out"):
        assert str(os.getpid()) in (tmp_path / ".out.lock").read_text()
        assert str(holder.pid) not in (tmp_path / ".out.lock").read_text()


def test_the_lock_is_free_and_its_file_gone_once_the_holder_is_done(tmp_path, holder):
    holder.communicate("")
    assert holder.returncode == 0
    with lock(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="wrong"), lock(tmp_path / "out"):
        raise ValueError("wrong")
    with lock(tmp_path / "out"):
        pass


def test_one_process_is_refused_its_own_lock_too(tmp_path):
    with lock(tmp_path / "out"), pytest.raises(LockedError, match=str(os.getpid())), lock(tmp_path / "out"):
        pass


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody can write to")
def test_where_nothing_can_be_written_nobody_is_said_to_write():
    with pytest.raises(OptionError, match=r"^cannot write to /proc \(.*\); choose another"), lock(NOWHERE):
        pass


def test_locks_of_two_folders_do_not_meet(tmp_path, holder):
    with lock(tmp_path / "other"):
        assert holder.poll() is None


def test_a_manifest_opens_with_what_it_is(tmp_path):
    path = tmp_path / "thing.json"
    write_manifest(path, "thing", 3, {"size": 64})
    assert list(json.loads(path.read_text()).items())[:3] == [
        ("format", "sattrans.thing"),
        ("version", 3),
        ("created_by", f"sattrans {__version__}"),
    ]
    assert read_manifest(path, "thing", 3)["size"] == 64


def test_a_manifest_of_another_kind_is_refused(tmp_path):
    write_manifest(tmp_path / "a.json", "run", 1, {})
    with pytest.raises(SattransError, match=r"a\.json is not a sattrans tileset"):
        read_manifest(tmp_path / "a.json", "tileset", 1)


@pytest.mark.parametrize("version", [0, 2, None])
def test_a_manifest_of_another_version_is_refused_and_says_who_made_it(tmp_path, version):
    write_manifest(tmp_path / "a.json", "run", version, {})
    with pytest.raises(
        SattransError, match=f"version {version}, but this sattrans reads version 1; .*sattrans {__version__}"
    ):
        read_manifest(tmp_path / "a.json", "run", 1)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"sattrans.run"', "\udcff"])
def test_a_damaged_manifest_is_refused_by_name(tmp_path, text):
    (tmp_path / "a.json").write_text(text, errors="surrogateescape")
    with pytest.raises(SattransError, match=r"a\.json"):
        read_manifest(tmp_path / "a.json", "run", 1)


def test_a_missing_manifest_is_an_error_of_ours(tmp_path):
    with pytest.raises(SattransError, match=r"a\.json cannot be read"):
        read_manifest(tmp_path / "a.json", "run", 1)


def test_a_folder_is_unfinished_until_its_manifest_has_its_name(tmp_path):
    assert not is_unfinished(tmp_path)
    begun_of(tmp_path / "tileset.json").write_text("{}")
    assert is_unfinished(tmp_path)
    (tmp_path / "tileset.json").write_text("{}")  # killed between the two last steps
    assert not is_unfinished(tmp_path)
