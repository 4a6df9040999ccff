"""The cache of decoded images: filled once, continued after a kill, anew after a change."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_images import access, digit_tree, drawn, encoded, left_out, plant

from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset
from tenfold.data.images import read_image
from tenfold.data.own import decoding
from tenfold.errors import StorageError
from tenfold.progress import Watcher

Read = Callable[..., Dataset]


class Counting(Watcher):
    """A watcher that counts the decoded images and can stop after some."""

    def __init__(self, most: int = 10**9) -> None:
        self.seen: list[int] = []
        self._most = most

    def advance(self, stage: str, done: int, total: int, unit: str) -> None:
        self.seen.append(done)

    def stop(self) -> bool:
        return bool(self.seen) and self.seen[-1] >= self._most


def opened(path: Path, watcher: Watcher, **keys: object) -> Dataset:
    return open_dataset(str(path), watcher=watcher, section=access(path, **keys).section)


def test_images_are_decoded_once(tmp_path: Path) -> None:
    path, first, second = plant(tmp_path / "digits", digit_tree()), Counting(), Counting()
    before = opened(path, first)
    assert first.seen[-1] == 40
    assert np.array_equal(opened(path, second).train.images[:], before.train.images[:])
    assert not second.seen


@pytest.mark.parametrize("keys", [{"size": 16}, {"size": 16, "resize": "crop"}])
def test_another_size_or_way_of_resizing_has_pixels_of_its_own(
    tmp_path: Path, read: Read, keys: dict[str, object]
) -> None:
    path = plant(tmp_path / "pets", {f"{i % 2}/{i}.png": drawn(i) for i in range(4)})
    read(path)
    assert np.array_equal(read(path, **keys).train.images[0],
                          read_image(path / "0/0.png", (16, 16, 3), resize=keys.get("resize", "pad")))


def test_a_changed_file_is_decoded_anew_even_if_size_and_time_are_the_same(tmp_path: Path, read: Read) -> None:
    content = encoded(drawn(0), "BMP")
    path = plant(tmp_path / "pets", {"cat/a.bmp": content, "dog/b.bmp": content})
    before, file = read(path), path / "cat/a.bmp"
    times = os.stat(file)
    file.write_bytes(content[:-30] + bytes(30))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert os.stat(file).st_size == times.st_size
    after = read(path)
    assert after.fingerprint() != before.fingerprint()
    assert np.array_equal(after.train.images[0], read_image(file, after.shape, resize="pad"))


def test_decoding_that_was_stopped_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "BLOCK", 16)
    tree = digit_tree(60, 4) | {"0/bad.png": b"x", "3/bad.png": b"x"}
    path, watcher = plant(tmp_path / "digits", tree), Counting(most=30)
    with pytest.raises(KeyboardInterrupt):
        opened(path, watcher)
    assert watcher.seen == [0, 16, 32, 48]
    rest = Counting()
    dataset = opened(path, rest)
    assert rest.seen == [48, 62]
    assert left_out(dataset).keys() == {"0/bad.png", "3/bad.png"}
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "elsewhere"))
    assert opened(path, Counting()).fingerprint() == dataset.fingerprint()


KILLED = """
import sys
from tenfold.data import open_dataset
from tenfold.data.own import decoding
from tenfold.progress import Watcher

class Slow(Watcher):
    def advance(self, stage, done, total, unit):
        print(done, flush=True)
        if done >= 80:
            sys.stdin.read()  # until it is killed

decoding.BLOCK = 10
open_dataset(sys.argv[1], watcher=Slow())
"""


def test_decoding_that_was_killed_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    path = plant(tmp_path / "digits", digit_tree(90, 4) | {"0/bad.png": b"x"})
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    while process.stdout.readline().strip() != "80":
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stdin.close()
    assert [file.suffix for file in cache.iterdir() if file.suffix == ".npy"] == []
    monkeypatch.setattr(decoding, "BLOCK", 10)
    rest = Counting()
    dataset = opened(path, rest)
    assert rest.seen[0] == 80
    assert left_out(dataset).keys() == {"0/bad.png"}
    for name, image in zip(dataset.train.names, dataset.train.images[:], strict=True):
        assert np.array_equal(image, read_image(path / name, dataset.shape))


def test_a_cache_that_can_not_be_written_is_one_line(
    tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "file"))
    path = plant(tmp_path / "digits", digit_tree())
    with pytest.raises(StorageError, match=r"^[^\n]*set TENFOLD_CACHE to another directory$"):
        read(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="its owner may write everywhere")
def test_a_read_only_cache_is_one_line(tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "locked"))
    path = plant(tmp_path / "digits", digit_tree())
    with pytest.raises(StorageError, match=r"^[^\n]*set TENFOLD_CACHE to another directory$"):
        read(path)


def test_a_damaged_cache_is_decoded_again(tmp_path: Path, read: Read, cache: Path) -> None:
    path = plant(tmp_path / "digits", digit_tree())
    before = read(path).fingerprint()
    (stored,) = cache.glob("*.npy")
    stored.write_bytes(stored.read_bytes()[:100])
    assert read(path).fingerprint() == before


def test_many_threads_decode_the_same_pixels(
    tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plant(tmp_path / "pets", {f"{i % 3}/{i}.jpg": drawn(i) for i in range(90)})
    found = set()
    for threads in ("1", "4"):
        monkeypatch.setenv("TENFOLD_THREADS", threads)
        monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / threads))
        found.add(read(path).fingerprint())
    assert len(found) == 1


def test_a_line_of_notes_that_was_cut_off_loses_nothing(tmp_path: Path, read: Read, cache: Path) -> None:
    path = plant(tmp_path / "digits", digit_tree() | {"0/bad.png": b"x"})
    read(path)
    (notes,) = cache.glob("*.unread")
    notes.write_text(notes.read_text() + '{"number": 3, "na', encoding="utf-8")
    assert left_out(read(path)).keys() == {"0/bad.png"}
