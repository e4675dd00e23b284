"""Hashes: what changes them."""

import os

from sattrans.utils.hashing import fingerprint, hash_of


def test_a_fingerprint_shows_another_name_size_or_time(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.write_bytes(b"1234")
        os.utime(path, ns=(0, 1_000_000_007))
    seen = [fingerprint([one]), fingerprint([other]), fingerprint([one, other])]
    one.write_bytes(b"12345")
    os.utime(one, ns=(0, 1_000_000_007))
    seen.append(fingerprint([one]))
    one.write_bytes(b"1234")
    os.utime(one, ns=(0, 1_000_000_008))
    seen.append(fingerprint([one]))
    assert len(set(seen)) == 5
    os.utime(one, ns=(0, 1_000_000_007))
    assert fingerprint([one]) == seen[0]


def test_a_hash_of_texts_keeps_them_apart():
    assert len({hash_of("ab", "c"), hash_of("a", "bc"), hash_of("abc"), hash_of("c", "ab")}) == 4
