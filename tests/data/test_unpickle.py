"""Pickles of arrays: honest ones are read, hostile ones do nothing but give one line."""

import contextlib
import pickle
import random
import struct
import time
import tracemalloc

import numpy as np
import pytest

from tenfold.data.unpickle import MAX_STEPS, unpickle_arrays
from tenfold.errors import DataError


@pytest.fixture
def read(tmp_path):
    def reading(content: bytes) -> object:
        (tmp_path / "batch").write_bytes(content)
        return unpickle_arrays(tmp_path / "batch")

    return reading


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("protocol", range(5))
def test_plain_values_and_arrays_are_read_back(read, protocol):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    content = {
        "data": array, "again": array, "fortran": np.asfortranarray(array[0]), "long": np.arange(5),
        "big": np.arange(3, dtype=">u2"), "real": np.linspace(0, 1, 3, dtype=np.float32),
        "labels": list(range(2000)), "names": ["a", "ä\n", "\u20ac", b"\x00\xff" if protocol else b"x"],
        "nothing": [None, True, False, -1, 2**40, -(2**40), 1.5, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[]], {}],
        7: {"deep": {"deeper": [1]}},
    }
    assert same(read(pickle.dumps(content, protocol)), content)


def test_a_hostile_pickle_needs_little_memory_and_time(read):
    place = b"\x80\x02]r" + struct.pack("<I", 0x7FFFFFFF)  # a place in the memo that other readers make room for
    shared = b"\x80\x02}K\x00" + 60 * b"q\x00h\x00h\x00\x87" + b"K\x01s."  # a key of 3^60 parts
    endless = b"\x80\x02" + b"]" * (MAX_STEPS + 1)
    started = time.monotonic()
    tracemalloc.start()
    try:
        assert read(place + b".") == []
        with pytest.raises(DataError, match="the pickle has tuple in a place for another type"):
            read(shared)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(DataError, match="more than 1,000,000 instructions"):
        read(endless)
    assert time.monotonic() - started < 60


def test_damaged_pickles_are_read_or_refused(read):
    whole, draw = pickle.dumps({"data": np.arange(40, dtype=np.uint8), "labels": [1, 2, 300]}, 2), random.Random(0)
    read(whole)
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        with contextlib.suppress(DataError):  # and no other error
            read(bytes(damaged))
