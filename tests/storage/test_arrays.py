"""Arrays on the disk: whole or not there, and gone on with after an interruption."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from tenfold.errors import DataError, StorageError
from tenfold.storage.arrays import StoredArray
from tenfold.storage.locks import lock_path, locked

COUNT, BLOCK = 50, 8


@pytest.fixture
def images(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (COUNT, 6, 5, 3), np.uint8)


@pytest.fixture
def stored(tmp_path: Path, images: np.ndarray) -> StoredArray:
    return StoredArray(tmp_path / "cache" / "images.npy", images.shape, images.dtype, "set THIS")


class Reader:
    """Gives rows of an array, notes which were asked for, and fails at one of the blocks."""

    def __init__(self, images: np.ndarray, fails_at: int | None = None) -> None:
        self.images, self.fails_at = images, fails_at
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, end: int) -> np.ndarray:
        self.asked.append((start, end))
        if len(self.asked) == self.fails_at:
            raise DataError("image 30 is damaged")
        return self.images[start:end]


def names(stored: StoredArray) -> list[str]:
    return sorted(path.name for path in stored.path.parent.iterdir())


def test_an_array_is_filled_once_and_then_reused(stored: StoredArray, images: np.ndarray) -> None:
    assert stored.find() is None
    reader, done = Reader(images), []
    found = stored.fill(reader, BLOCK, progress=done.append)
    assert np.array_equal(found, images)
    assert found.dtype == np.uint8
    assert isinstance(found, np.memmap)
    assert done == [0, 8, 16, 24, 32, 40, 48, 50]
    assert reader.asked[-1] == (48, 50)
    assert names(stored) == ["images.npy"]
    assert np.array_equal(np.load(stored.path), images)
    assert np.array_equal(stored.fill(Reader(images, fails_at=1), BLOCK), images)


def test_changes_to_the_array_do_not_change_the_file(stored: StoredArray, images: np.ndarray) -> None:
    stored.fill(Reader(images), BLOCK)[:] = 0
    assert np.array_equal(stored.find(), images)


@pytest.mark.parametrize(("note_every", "left"), [(1, 24), (2, 16), (10, 0)])
def test_filling_resumes_after_the_last_note(
    stored: StoredArray, images: np.ndarray, note_every: int, left: int
) -> None:
    with pytest.raises(DataError, match="damaged"):
        stored.fill(Reader(images, fails_at=4), BLOCK, note_every)
    assert stored.find() is None
    reader, done = Reader(images), []
    assert np.array_equal(stored.fill(reader, BLOCK, note_every, progress=done.append), images)
    assert reader.asked[0] == (left, left + BLOCK)
    assert done[0] == left
    assert names(stored) == ["images.npy"]


def test_a_stopped_filling_records_its_progress(stored: StoredArray, images: np.ndarray) -> None:
    reader = Reader(images)
    with pytest.raises(KeyboardInterrupt):
        stored.fill(reader, BLOCK, note_every=100, stop=lambda: len(reader.asked) == 3)
    reader = Reader(images)
    assert np.array_equal(stored.fill(reader, BLOCK), images)
    assert reader.asked[0] == (24, 32)


@pytest.mark.parametrize("other", [{"shape": (COUNT, 6, 5, 1)}, {"dtype": np.dtype(np.int8)}])
def test_an_unfinished_different_array_is_discarded(
    other: dict[str, object], stored: StoredArray, images: np.ndarray
) -> None:
    of_other = StoredArray(**{"path": stored.path, "shape": stored.shape, "dtype": stored.dtype, **other})
    with pytest.raises(DataError, match="damaged"):
        of_other.fill(Reader(np.zeros(of_other.shape, of_other.dtype), fails_at=3), BLOCK)
    reader = Reader(images)
    assert np.array_equal(stored.fill(reader, BLOCK), images)
    assert reader.asked[0] == (0, BLOCK)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and more", "cut off"])
def test_a_damaged_file_is_filled_again(content: bytes | str, stored: StoredArray, images: np.ndarray) -> None:
    stored.fill(Reader(images), BLOCK)
    stored.path.write_bytes(stored.path.read_bytes()[:-1] if isinstance(content, str) else content)
    assert stored.find() is None
    assert np.array_equal(stored.fill(Reader(images), BLOCK), images)


def test_too_little_disk_space_is_reported_before_anything_is_read(
    stored: StoredArray, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    reader = Reader(images)
    with pytest.raises(StorageError, match=r"50 of 50 rows are missing and take 4,500 bytes; 1,000 are free: "
                                           r"free some space there or set THIS$"):
        stored.fill(reader, BLOCK)
    assert not reader.asked
    assert not names(stored)


def test_two_processes_fill_an_array_only_once(stored: StoredArray, images: np.ndarray) -> None:
    told, reader = threading.Event(), Reader(images)
    found: list[np.ndarray] = []
    stored.path.parent.mkdir()
    with locked(lock_path(stored.path)):
        threads = [threading.Thread(target=lambda: found.append(stored.fill(reader, BLOCK, waiting=told.set)))
                   for _ in range(2)]
        for thread in threads:
            thread.start()
        assert told.wait(10)
    for thread in threads:
        thread.join()
    assert len(reader.asked) == -(-COUNT // BLOCK)
    assert all(np.array_equal(each, images) for each in found)


def test_an_error_of_the_reader_is_not_reported_as_a_storage_error(stored: StoredArray) -> None:
    def gone(start: int, end: int) -> np.ndarray:
        raise FileNotFoundError("photo.jpg")

    with pytest.raises(FileNotFoundError, match=r"photo\.jpg"):
        stored.fill(gone, BLOCK)


def test_an_unwritable_location_is_reported_in_one_line(tmp_path: Path, images: np.ndarray) -> None:
    (tmp_path / "cache").touch()
    stored = StoredArray(tmp_path / "cache" / "images.npy", images.shape, images.dtype, "set THIS")
    with pytest.raises(StorageError, match=r"^can't write [^\n]*; set THIS$"):
        stored.fill(Reader(images), BLOCK)
