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

NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
EMPTY = RECONSTRUCT + b"(" + NDARRAY + b"(K\x00tU\x01btR"  # an array before its state
BYTE = DTYPE + b"(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


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


HOSTILE = {
    # Eight bytes that a careless reader would use as the address of an object.
    "an array over bytes": b"\x80\x02" + NDARRAY + b"(K\x01\x85U\x01OU\x08\x01AAAAAA\x01tR.",
    "an array of objects": b"\x80\x02" + EMPTY + b"(K\x01(K\x01t" + BYTE.replace(b"u1", b"O8")
                           + b"\x89U\x08AAAAAAAAtb.",
    "objects by their state": b"\x80\x02" + EMPTY + b"(K\x01(K\x01t" + BYTE.replace(b"|NNN", b"|(U\x01at}N")
                              + b"\x89U\x01AtR.",
    "more than its bytes": b"\x80\x02" + EMPTY + b"(K\x01(J\x00\x00\x00\x40t" + BYTE + b"\x89U\x08AAAAAAAAtb.",
    "less than its bytes": b"\x80\x02" + EMPTY + b"(K\x01(K\x01t" + BYTE + b"\x89U\x08AAAAAAAAtb.",
    "a negative size": b"\x80\x02" + EMPTY + b"(K\x01(J\xff\xff\xff\xffJ\xff\xff\xff\xfft" + BYTE + b"\x89U\x01Atb.",
    "sizes whose product overflows": b"\x80\x02" + EMPTY + b"(K\x01(" + 4 * b"J\x00\x00\x01\x00" + b"t" + BYTE
                                     + b"\x89U\x00tb.",
    "another class to reconstruct": b"\x80\x02" + RECONSTRUCT + b"(" + DTYPE + b"(K\x00tU\x01btR.",
    "a large array to reconstruct": b"\x80\x02" + RECONSTRUCT + b"(" + NDARRAY + b"(J\x00\x00\x00\x40tU\x01btR.",
    "a state for a list": b"\x80\x02]K\x01b.",
    "a class of its own": b"\x80\x02cposix\nsystem\n(U\x02idtR.",
    "a class by its attribute": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "an instance": b"(U\x02idiposix\nsystem\n.",
    "a class alone": b"\x80\x02" + NDARRAY + b".",
    "an array without a state": b"\x80\x02" + EMPTY + b".",
    "text decoded otherwise": b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00AX\x03\x00\x00\x00zip\x74R.",
    "an object by an identifier": b"\x80\x02U\x01aQ.",
    "an extension": b"\x80\x02\x82\x01.",
    "a pop from nothing": b"\x80\x02\x85\x85R.",
    "a mark that is not there": b"\x80\x02]e.",
    "a memory that is not there": b"\x80\x02h\x05.",
    "a list as a key": b"\x80\x02}]K\x01s.",
    "a whole number of a gigabyte": b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"x.",
    "text of an exabyte": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
    "no end": b"\x80\x02]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_in_one_line(read, name):
    with pytest.raises(DataError, match=r"batch: .*; download the official file again") as caught:
        read(HOSTILE[name])
    assert "\n" not in str(caught.value)


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
