"""Archives of arrays are read within bounds."""

import io
import zipfile

import numpy as np
import pytest

from sattrans.utils.arrays import read_arrays


def archive(**arrays):
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)
    return data.getvalue()


def with_header(shape, dtype="<f4", data=b""):
    text = str({"descr": dtype, "fortran_order": False, "shape": shape})
    array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr("a.npy", array)
    return out.getvalue()


def test_arrays_come_back(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.arange(6, dtype=np.int8).reshape(3, 2))}
    (tmp_path / "a.npz").write_bytes(archive(**arrays))
    for source in (archive(**arrays), tmp_path / "a.npz"):
        read = read_arrays(source, 1 << 20)
        assert all((read[name] == arrays[name]).all() and read[name].dtype == arrays[name].dtype for name in arrays)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no archive"),
        (b"PK\x03\x04", "no archive"),
        (archive(a=np.zeros(1 << 21, np.uint8)), "would take 2 MiB, over 1"),
        (archive(a=np.array([1.0, np.nan])), "not finite"),
        (archive(a=np.array([object()])), "not what it declares"),
        (archive(a=np.array(["text"])), "not what it declares"),
        (with_header((1 << 60,)), "not what it declares"),
        (with_header((2,), data=bytes(4)), "not what it declares"),
        (with_header("x"), "shape"),
        (archive(a=np.zeros(100))[:-60], "no archive"),
    ],
)
def test_an_archive_that_is_not_right_is_refused(data, told):
    with pytest.raises(ValueError, match=told):
        read_arrays(data, 1 << 20)


def test_measured_statistics_may_be_missing():
    assert np.isnan(read_arrays(archive(a=np.array([1.0, np.nan])), 1 << 20, nan=True)["a"][1])
