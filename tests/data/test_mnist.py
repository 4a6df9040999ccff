"""MNIST and Fashion-MNIST as IDX files, npz and parquet, whole and damaged."""

import gzip
import hashlib
import struct
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tenfold.data import open_dataset
from tenfold.data.fetch import Archive
from tenfold.data.mnist import COUNTS, FASHION, MNIST, idx_name, open_layout, read_idx, where_layout
from tenfold.errors import DataError, FetchError

SMALL = {"train": 30, "test": 10}


@pytest.fixture
def arrays(rng):
    """Images uint8 [n, 28, 28] and labels uint8 [n] of both splits."""
    return {name: (rng.integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) % 10).astype(np.uint8))
            for name, n in SMALL.items()}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">I{array.ndim}I", 0x0800 | array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, arrays, dot: bool = False, ending: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in arrays.items():
        for kind, array in (("images", images), ("labels", labels)):
            name = idx_name(split, kind)
            content = idx(array)
            path = folder / ((name.replace("-idx", ".idx") if dot else name) + ending)
            path.write_bytes(gzip.compress(content) if ending else content)


def write_npz(path: Path, arrays) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (x_train, y_train), (x_test, y_test) = arrays["train"], arrays["test"]
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


def check(dataset, arrays) -> None:
    assert dataset.shape == (28, 28, 1)
    for name, split in dataset.splits().items():
        assert np.array_equal(split.images[..., 0], arrays[name][0])
        assert np.array_equal(split.labels, arrays[name][1])
        assert split.images.flags.writeable
    assert list(dataset.splits()) == ["train", "test"]


@pytest.mark.parametrize("folder", ["mnist", ".", "MNIST/raw"])
@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files(root, access, arrays, folder, dot, ending):
    write_idx(root / folder, arrays, dot, ending)
    check(open_layout(MNIST, access, SMALL), arrays)


@pytest.mark.parametrize("place", ["data/mnist.npz", "data/mnist/mnist.npz", "keras/datasets/mnist.npz"])
def test_npz(tmp_path, access, arrays, place):
    write_npz(tmp_path / place, arrays)
    dataset = open_layout(MNIST, access, SMALL)
    check(dataset, arrays)
    assert "mnist.npz" in dataset.train.describe()


def test_parquet_may_be_partial(root, access, arrays, write_parquet):
    for name, (images, labels) in arrays.items():
        write_parquet(root / f"mnist/mnist/{name}-00000-of-00001.parquet", images[..., None], labels, "image")
    dataset = open_layout(MNIST, access, {"train": 30, "test": 50})
    check(dataset, arrays)
    assert not dataset.train.partial
    assert dataset.test.describe().endswith("PARTIAL, 10 of 50 images")


@pytest.mark.parametrize("place", ["fashion-mnist", "fashion_mnist", "FashionMNIST/raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_fashion_mnist_as_idx_files(root, access, arrays, place, ending):
    write_idx(root / place, arrays, ending=ending)
    check(open_layout(FASHION, access, SMALL), arrays)


@pytest.mark.parametrize("place", ["fashion-mnist", "fashion_mnist/fashion_mnist"])
def test_fashion_mnist_as_parquet(root, access, arrays, write_parquet, place):
    for name, (images, labels) in arrays.items():
        write_parquet(root / place / f"{name}-00000-of-00001.parquet", images[..., None], labels, "image")
    check(open_layout(FASHION, access, SMALL), arrays)


@pytest.mark.parametrize("place", ["fashion-mnist.npz", "fashion_mnist.npz", "fashion_mnist/fashion-mnist.npz"])
def test_fashion_mnist_as_npz(root, access, arrays, place):
    write_npz(root / place, arrays)
    check(open_layout(FASHION, access, SMALL), arrays)


def test_an_interrupted_download_of_fashion_mnist_continues(tmp_path, root, access, arrays, server):
    write_idx(tmp_path / "official", arrays, ending=".gz")
    archives = []
    for official in FASHION.archives:
        content = (tmp_path / "official" / official.name).read_bytes()
        archives.append(Archive(server.url(official.name), hashlib.sha256(content).hexdigest(), len(content)))
        server.contents[official.name] = content
    layout, fetching = replace(FASHION, archives=tuple(archives)), replace(access, fetch=True)
    last = server.contents.pop(archives[-1].name)
    with pytest.raises(FetchError, match="404"):
        open_layout(layout, fetching, SMALL)
    assert where_layout(layout, root) is None
    server.contents[archives[-1].name] = last
    check(open_layout(layout, fetching, SMALL), arrays)
    assert len(server.ranges) == 5
    assert sorted(path.name for path in (root / "fashion-mnist").iterdir()) == sorted(a.name for a in archives)


def test_fashion_mnist_is_not_taken_for_mnist(root, tmp_path, access, arrays):
    write_idx(root / "mnist", arrays)
    with pytest.raises(DataError, match=r"fashion-mnist is not in .* run 'tenfold data fetch fashion-mnist' \(31 MB\)"):
        open_layout(FASHION, access, SMALL)
    write_idx(tmp_path / "keras/datasets/fashion-mnist", arrays, ending=".gz")
    dataset = open_layout(FASHION, access, SMALL)
    check(dataset, arrays)
    assert dataset.classes[9] == "ankle boot"


def test_other_counts_than_the_official_ones_are_refused(root, arrays):
    write_idx(root / "mnist", arrays)
    with pytest.raises(DataError, match=r"uint8 \[30, 28, 28\]; expected uint8 \[60000, 28, 28\]"):
        open_dataset("mnist", root=root)


def test_a_missing_file_and_a_wrong_label(root, access, arrays):
    arrays["test"][1][3] = 10
    write_idx(root / "mnist", arrays)
    with pytest.raises(DataError, match="received the test label 10; expected 0 to 9"):
        open_layout(MNIST, access, SMALL)
    (root / "mnist" / idx_name("test", "labels")).unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is missing"):
        open_layout(MNIST, access, SMALL)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: b"", "begins with nothing"),
        (lambda content: b"\x00\x00\x08\x01" + content[4:], "begins with 00000801"),
        (lambda content: content[:-1], r"received 7,839 bytes after the header; expected 7,840 \(10×28×28\)"),
        (lambda content: content + b"\x00", "received more than 7,840"),
        (lambda content: content[:4] + b"\xff" * 12, "declares 79,228,162"),
        (lambda content: content[:4] + struct.pack(">3I", 1 << 19, 1024, 1024), "declares 549,755,813,888 bytes"),
        (lambda content: content[:4] + struct.pack(">3I", 65536, 32, 33), "expected at most 67,108,864"),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_damaged_idx_file(root, arrays, change, reason, ending):
    path = root / f"file{ending}"
    content = change(idx(arrays["test"][0]))
    path.write_bytes(gzip.compress(content) if ending else content)
    with pytest.raises(DataError, match=reason) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_truncated_or_invalid_gzip_file(root, arrays):
    path = root / "file.gz"
    path.write_bytes(gzip.compress(idx(arrays["test"][0]))[:-500])
    with pytest.raises(DataError, match="expected a complete file"):
        read_idx(path, 3)
    path.write_bytes(idx(arrays["test"][0]))
    with pytest.raises(DataError, match="expected a complete file"):
        read_idx(path, 3)


def test_a_damaged_npz(root, access, arrays):
    path = write_npz(root / "mnist.npz", arrays)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"mnist\.npz: .*expected an npz file with x_train"):
        open_layout(MNIST, access, SMALL)
    np.savez(path, x_train=np.zeros(3, np.uint8))
    with pytest.raises(DataError, match="y_train"):
        open_layout(MNIST, access, SMALL)
    objects = np.empty(1, object)
    np.savez(path, x_train=objects, y_train=objects, x_test=objects, y_test=objects)
    with pytest.raises(DataError, match=r"x_train\.npy is object \[1\]"):
        open_layout(MNIST, access, SMALL)


def write_members(path: Path, member: bytes, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", member)
    return path


def npy(shape: str, dtype: str = "|u1", content: bytes = b"") -> bytes:
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


@pytest.mark.parametrize(("member", "kind", "reason"), [
    (npy("(549755813888,)"), zipfile.ZIP_STORED, r"is uint8 \[549755813888\] in 0 bytes"),
    (npy("(3, -1)", content=bytes(3)), zipfile.ZIP_STORED, r"is uint8 \[3, -1\] in 3 bytes"),
    (npy("(2,)", "|O", bytes(16)), zipfile.ZIP_STORED, "is object"),
    (npy("(3,)"), zipfile.ZIP_BZIP2, "stored or deflated"),
    (b"no array", zipfile.ZIP_STORED, "magic string"),
], ids=["header", "negative", "objects", "bzip2", "nothing"])
def test_a_hostile_npz(root, access, member, kind, reason):
    write_members(root / "mnist.npz", member, kind)
    with pytest.raises(DataError, match=reason) as caught:
        open_layout(MNIST, access, SMALL)
    assert "\n" not in str(caught.value)


def test_a_file_that_would_unpack_to_far_more_than_the_data_set_is_not_unpacked(root, access, monkeypatch):
    monkeypatch.setattr("tenfold.data.mnist.MAX_BYTES", 4 << 20)
    write_members(root / "mnist.npz", npy("(33554432,)", content=bytes(32 << 20)))
    (root / "images.gz").write_bytes(gzip.compress(idx(np.zeros((64, 1024, 512), np.uint8)), 1))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"x_train\.npy unpacks to 33,554,560 bytes; expected at most 4,194,304"):
            open_layout(MNIST, access, SMALL)
        with pytest.raises(DataError, match="declares 33,554,432 bytes"):
            read_idx(root / "images.gz", 3)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_missing_data_is_downloaded(tmp_path, root, access, arrays, server):
    server.content = write_npz(tmp_path / "official.npz", arrays).read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()
    layout = replace(MNIST, archives=(Archive(server.url("mnist.npz"), digest, len(server.content)),))
    with pytest.raises(DataError, match="tenfold data fetch mnist"):
        open_layout(layout, access, SMALL)
    assert server.ranges == []
    check(open_layout(layout, replace(access, fetch=True), SMALL), arrays)
    check(open_layout(layout, access, SMALL), arrays)
    assert len(server.ranges) == 1


@pytest.mark.real
def test_the_real_mnist(real_data):
    dataset = open_dataset("mnist", root=real_data)
    assert {name: len(split) for name, split in dataset.splits().items()} == COUNTS
    published = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # images of each digit
    assert np.bincount(dataset.test.labels).tolist() == published
    assert not dataset.train.partial
