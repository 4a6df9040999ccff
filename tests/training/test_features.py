"""The cache of features: what an interruption, a full disk, damage or another process may leave of it."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from watchers import Listen

from tenfold.backend import keras
from tenfold.data.dataset import Provenance, Split
from tenfold.errors import StorageError
from tenfold.progress import SILENT
from tenfold.storage import arrays
from tenfold.storage.locks import lock_path, locked
from tenfold.training import features
from tenfold.training.features import View, extract

COUNT = 250


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path))
    return tmp_path / "features"


@pytest.fixture(scope="module")
def split() -> Split:
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3)).astype(np.uint8)
    return Split(images, np.zeros(COUNT, np.int64), Provenance("random"))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    inputs = keras.Input((3, 8, 8))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(data_format="channels_first")(inputs))


@pytest.fixture
def expected(split: Split) -> Any:
    return pytest.approx(split.images.mean(axis=(1, 2)), rel=1e-4)


def only(cache: Path) -> Path:
    (path,) = cache.glob("*.npy")
    return path


def part_of(path: Path, rows: int, said: int, width: int = 3) -> None:
    """What an interrupted computation leaves: a part of which the first rows are done, and how many it says are."""
    part = np.lib.format.open_memmap(path.with_suffix(".part"), "w+", np.float32, (COUNT, width))
    part[:rows] = np.load(path)[:rows, :width]
    part.flush()
    path.with_suffix(".rows").write_text(json.dumps({"rows": said}))
    path.unlink()


def test_rows_of_an_older_unfinished_file_are_not_reused(
    split: Split, network: keras.Model, cache: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(network, "key", split, View(), SILENT)
    part_of(only(cache), 0, said=200, width=2)
    batch = features.batch_features
    monkeypatch.setattr(features, "batch_features", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        extract(network, "key", split, View(), SILENT)
    monkeypatch.setattr(features, "batch_features", batch)
    assert extract(network, "key", split, View(), SILENT) == expected


@pytest.mark.parametrize("damage", ["truncated", "empty", "of another shape", "of another kind", "no array"])
def test_a_damaged_file_is_computed_again(
    damage: str, split: Split, network: keras.Model, cache: Path, expected: Any
) -> None:
    extract(network, "key", split, View(), SILENT)
    path = only(cache)
    content = {"truncated": path.read_bytes()[:-8], "empty": b"", "no array": b"PK\3\4 and more"}
    if damage in content:
        path.write_bytes(content[damage])
    else:
        np.save(path, np.zeros((COUNT, 4 if damage == "of another shape" else 3),
                               np.float32 if damage == "of another shape" else np.float64))
    assert extract(network, "key", split, View(), SILENT) == expected


def test_a_finished_file_is_read_without_a_lock(
    split: Split, network: keras.Model, cache: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache may be on a disk that can only be read."""
    extract(network, "key", split, View(), SILENT)
    monkeypatch.setattr(arrays, "locked", None)
    assert extract(network, "key", split, View(), SILENT) == expected


def test_waiting_for_another_process_is_reported_and_can_be_stopped(
    split: Split, network: keras.Model, cache: Path, expected: Any
) -> None:
    extract(network, "key", split, View(), SILENT)
    path, listen = only(cache), Listen(lambda said: len(said) > 0)
    path.unlink()
    with locked(lock_path(path)), pytest.raises(KeyboardInterrupt):
        extract(network, "key", split, View(), listen)
    assert listen.said == ["features: waiting for another process that computes them"]
    with locked(lock_path(path)):
        told = threading.Event()
        found: list[np.ndarray] = []
        waiting = threading.Thread(target=lambda: found.append(
            extract(network, "key", split, View(), Listen(lambda said: told.set() if said else False))))
        waiting.start()
        assert told.wait(10)
    waiting.join()
    assert found[0] == expected


def test_a_full_disk_is_an_error_before_anything_is_computed(
    split: Split, network: keras.Model, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(StorageError, match=r"^[^\n]*No space left on device; free [^\n]* set TENFOLD_CACHE[^\n]*$"):
        extract(network, "key", split, View(), SILENT)
    assert not list(cache.glob("*.part"))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_disk_that_cannot_reserve_space_works(
    number: int, split: Split, network: keras.Model, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", unable, raising=False)
    assert extract(network, "key", split, View(), SILENT) == expected


def test_continuing_needs_space_only_for_the_missing_rows(
    split: Split, network: keras.Model, cache: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part may have holes, where the disk reserved nothing."""
    extract(network, "key", split, View(), SILENT)
    part_of(only(cache), 100, said=100)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with monkeypatch.context() as patch:
        patch.setattr("tenfold.storage.room.allocated", lambda _: 1200)
        with pytest.raises(StorageError, match=r"150 of 250 rows are missing and take 1,800 bytes; 1,000 are free"):
            extract(network, "key", split, View(), SILENT)
    listen = Listen()
    assert extract(network, "key", split, View(), listen) == expected  # all of it is reserved
    assert listen.said[0] == "features: continuing after 100 of 250 images"


def test_the_cache_key_of_a_network_depends_on_its_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    """In which versions, but not whether its layers are to be trained: a probe and a fine-tuning share features."""
    def network(trainable: bool, units: int = 2) -> keras.Model:
        inputs = keras.Input((4,))
        dense = keras.layers.Dense(units, kernel_initializer="ones", trainable=trainable)
        return keras.Model(inputs, dense(inputs), name="features")

    key = features.network_key(network(True))
    assert key == features.network_key(network(False))
    assert key != features.network_key(network(True, 3))
    for name in ("tenfold", "keras", "torch"):
        with monkeypatch.context() as patch:
            patch.setattr("importlib.metadata.version", lambda each, name=name: "new" if each == name else "old")
            patched = features.network_key(network(True))
            patch.setattr("importlib.metadata.version", lambda each: "old")
            assert patched != features.network_key(network(True))
