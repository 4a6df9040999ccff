"""CIFAR-10 in each layout that people have it in, whole, partial and damaged."""

import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from watchers import Listen

from tenfold.data import open_dataset
from tenfold.data.cifar import (
    ARCHIVE,
    BINARY,
    BINARY_FILES,
    CLASSES,
    PICKLED,
    PICKLED_FILES,
    open_cifar,
    read_binary,
    read_pickled,
    where_cifar,
)
from tenfold.data.fetch import Archive
from tenfold.errors import DataError, FetchError, UsageError
from tenfold.progress import Advance

COUNT = 20  # images in each of the files written here


@pytest.fixture
def batches(rng):
    """Six times images uint8 [20, 32, 32, 3] and labels int64 [20]."""
    return [(rng.integers(0, 256, (COUNT, 32, 32, 3), np.uint8), np.arange(COUNT) % 10) for _ in range(6)]


def planes(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def binary(images: np.ndarray, labels: np.ndarray) -> bytes:
    return np.concatenate([labels[:, None].astype(np.uint8), planes(images)], axis=1).tobytes()


def write_binary(folder: Path, batches) -> Path:
    folder.mkdir(parents=True)
    for name, batch in zip(BINARY_FILES, batches, strict=True):
        (folder / name).write_bytes(binary(*batch))
    return folder


def write_pickled(folder: Path, batches) -> Path:
    folder.mkdir(parents=True)
    for name, (images, labels) in zip(PICKLED_FILES, batches, strict=True):
        content = {b"data": planes(images), b"labels": labels.tolist(), b"batch_label": b"a batch"}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return folder


def check(dataset, batches) -> None:
    assert dataset.classes == CLASSES
    assert dataset.shape == (32, 32, 3)
    assert np.array_equal(dataset.train.images, np.concatenate([images for images, _ in batches[:5]]))
    assert np.array_equal(dataset.train.labels, np.concatenate([labels for _, labels in batches[:5]]))
    assert np.array_equal(dataset.test.images, batches[5][0])
    assert dataset.train.images.flags.writeable
    assert dataset.validation is None


@pytest.mark.parametrize(
    ("write", "place"),
    [
        (write_binary, f"data/{BINARY}"),
        (write_pickled, f"data/{PICKLED}"),
        (write_pickled, f"keras/datasets/{PICKLED}"),
        (write_pickled, f"keras/datasets/{PICKLED}-target/{PICKLED}"),
    ],
)
def test_official_files_give_exact_pixels(tmp_path, access, batches, write, place):
    folder = write(tmp_path / place, batches)
    assert where_cifar(access.root) == str(folder)
    dataset = open_cifar(access, batch=COUNT)
    check(dataset, batches)
    assert not dataset.train.partial
    assert ("Keras" in dataset.train.describe()) == place.startswith("keras")


@pytest.mark.parametrize("place", ["cifar10/plain_text", "plain_text", "cifar10"])
@pytest.mark.parametrize("column", ["img", "image"])
def test_parquet_gives_exact_pixels(root, access, batches, write_parquet, place, column):
    for i, (images, labels) in enumerate(batches[:5]):
        write_parquet(root / place / f"train-0000{i}-of-00005.parquet", images, labels, column)
    write_parquet(root / place / "test-00000-of-00001.parquet", *batches[5], column)
    check(open_cifar(access, batch=COUNT), batches)


def test_a_partial_parquet_split_is_marked_partial(root, access, batches, write_parquet):
    write_parquet(root / "cifar10/plain_text/train-00000-of-00001.parquet", *batches[0])
    write_parquet(root / "cifar10/plain_text/test-00000-of-00001.parquet", *batches[1])
    dataset = open_cifar(access, batch=COUNT)
    assert len(dataset.train) == COUNT
    assert dataset.train.partial
    assert dataset.train.describe().endswith("PARTIAL, 20 of 100 images")
    assert not dataset.test.partial
    assert open_dataset("cifar10", root=root).test.describe().endswith("PARTIAL, 20 of 10,000 images")


def test_more_parquet_rows_than_official_are_refused(root, access, batches, write_parquet):
    for i in range(6):
        write_parquet(root / f"cifar10/train-0000{i}-of-00005.parquet", *batches[i])
    write_parquet(root / "cifar10/test-00000-of-00001.parquet", *batches[5])
    with pytest.raises(DataError, match="received 120 images; expected at most 100"):
        open_cifar(access, batch=COUNT)


def test_the_first_layout_found_is_used(root, access, batches):
    write_pickled(root / PICKLED, batches[::-1])
    write_binary(root / BINARY, batches)
    check(open_cifar(access, batch=COUNT), batches)


def test_missing_data_names_the_expected_files_and_the_fetch_command(root):
    with pytest.raises(DataError, match="tenfold data fetch cifar10") as caught:
        open_dataset("cifar10", root=root)
    assert str(root) in str(caught.value)
    assert list(root.iterdir()) == []
    assert where_cifar(root) is None


def test_options_are_refused(root):
    with pytest.raises(UsageError, match="has no options"):
        open_dataset("cifar10:small", root=root)


# ----------------------------------------------------------------------------------------------------
# damage


def test_a_truncated_binary_file(root, access, batches):
    file = write_binary(root / BINARY, batches) / "data_batch_3.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin: received 61,459 bytes; expected 61,460"):
        open_cifar(access, batch=COUNT)


def test_a_missing_file(root, access, batches):
    (write_binary(root / BINARY, batches) / "test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"test_batch\.bin is missing"):
        open_cifar(access, batch=COUNT)


def test_every_file_must_have_the_official_number_of_images(root, batches):
    write_binary(root / BINARY, batches)
    with pytest.raises(DataError, match=r"expected 30,730,000 \(10,000 images\)"):
        open_dataset("cifar10", root=root)


def test_a_label_out_of_range(root, batches):
    images, labels = batches[0]
    labels[7] = 10
    (root / "file.bin").write_bytes(binary(images, labels))
    with pytest.raises(DataError, match="image 7 has the label 10; expected 0 to 9"):
        read_binary(root / "file.bin", COUNT)
    (root / "batch").write_bytes(pickle.dumps({"data": planes(images), "labels": labels.tolist()}))
    with pytest.raises(DataError, match="image 7 has the label 10; expected 0 to 9"):
        read_pickled(root / "batch", COUNT)


class Evil:
    def __reduce__(self):
        return os.system, ("echo pwned > pwned",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_malicious_pickle_is_refused_and_runs_nothing(root, monkeypatch, protocol):
    monkeypatch.chdir(root)
    (root / "batch").write_bytes(pickle.dumps({"data": Evil(), "labels": []}, protocol=protocol))
    with pytest.raises(DataError, match=r"batch: refused: the pickle uses (posix|nt)\.system"):
        read_pickled(root / "batch", COUNT)
    assert not (root / "pwned").exists()


@pytest.mark.parametrize("protocol", range(5))
def test_ordinary_arrays_are_read_up_to_pickle_protocol_4(root, batches, protocol):
    images, labels = batches[0]
    content = {"data": planes(images), "labels": labels.tolist()}
    (root / "batch").write_bytes(pickle.dumps(content, protocol))
    assert np.array_equal(read_pickled(root / "batch", COUNT)[0], images)


def test_python_2_pickles_are_read(root, batches):
    images, labels = batches[0]
    content = pickle.dumps({b"data": planes(images), b"labels": labels.tolist()}, protocol=2)
    (root / "batch").write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert np.array_equal(read_pickled(root / "batch", COUNT)[0], images)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the pickle is damaged"),
        (b"\x80\x02}q\x00(U", "the pickle is damaged"),
        (pickle.dumps([1, 2]), "received nothing as 'data'"),
        (pickle.dumps({"data": np.zeros((3, 3072), np.uint8)}), r"received uint8 \[3, 3072\]"),
        (pickle.dumps({"data": np.zeros((COUNT, 3072)), "labels": [0] * COUNT}), "received float64"),
        (pickle.dumps({"data": np.zeros((COUNT, 3072), "u1"), "labels": [0]}), "1 whole numbers"),
    ],
)
def test_a_damaged_pickle(root, content, reason):
    (root / "batch").write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        read_pickled(root / "batch", COUNT)
    assert "batch" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_pickle(root, batches):
    file = write_pickled(root / PICKLED, batches) / "data_batch_1"
    file.write_bytes(file.read_bytes()[:30_000])
    with pytest.raises(DataError, match="data_batch_1: the pickle is damaged"):
        read_pickled(file, COUNT)


def test_damaged_parquet(root, access, batches, write_parquet):
    images, labels = batches[0]
    train = write_parquet(root / "cifar10/train-0.parquet", images, labels)
    with pytest.raises(DataError, match=r"no test-\*\.parquet in this folder"):
        open_cifar(access, batch=COUNT)
    test = write_parquet(root / "cifar10/test-0.parquet", images[:, :30], labels)
    with pytest.raises(DataError, match=r"test-0\.parquet, row 0: .*it has 32×30 pixels; expected 32×32"):
        open_cifar(access, batch=COUNT)
    write_parquet(test, images, labels + 5)
    with pytest.raises(DataError, match="row 5: received the label 10; expected 0 to 9"):
        open_cifar(access, batch=COUNT)
    write_parquet(test, images, labels, column="picture")
    with pytest.raises(DataError, match="received the columns picture, label; expected 'label' and 'img' or 'image'"):
        open_cifar(access, batch=COUNT)
    train.write_bytes(train.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train-0\.parquet: .*expected a complete parquet file") as caught:
        open_cifar(access, batch=COUNT)
    assert "\n" not in str(caught.value)


# ----------------------------------------------------------------------------------------------------
# fetching


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in BINARY_FILES:
            tar.add(folder / name, f"{BINARY}/{name}")
    return buffer.getvalue()


def test_missing_data_is_downloaded_once(tmp_path, root, access, batches, server):
    server.content = packed(write_binary(tmp_path / "official", batches))
    digest = hashlib.sha256(server.content).hexdigest()
    archive = Archive(server.url("cifar.tar.gz"), digest, len(server.content))
    listen = Listen()
    fetching = replace(access, fetch=True, watcher=listen)
    for _ in range(2):
        check(open_cifar(fetching, archive, COUNT), batches)
    assert len(server.ranges) == 1
    assert listen.said[0].startswith("downloading")
    assert Advance("download", len(server.content), len(server.content), "bytes") in listen.events
    assert [path.name for path in root.iterdir()] == [BINARY]


def test_an_archive_put_there_by_hand_is_used_and_kept(tmp_path, root, access, batches, server):
    content = packed(write_binary(tmp_path / "official", batches))
    (root / "cifar.tar.gz").write_bytes(content)
    archive = Archive(server.url("cifar.tar.gz"), hashlib.sha256(content).hexdigest(), len(content))
    check(open_cifar(replace(access, fetch=True), archive, COUNT), batches)
    assert server.ranges == []
    assert sorted(path.name for path in root.iterdir()) == [BINARY, "cifar.tar.gz"]


def test_an_archive_with_a_wrong_hash_is_not_unpacked(root, access, server):
    server.content = b"something else"
    archive = replace(ARCHIVE, url=server.url("cifar.tar.gz"))
    with pytest.raises(FetchError, match=ARCHIVE.sha256):
        open_cifar(replace(access, fetch=True), archive, COUNT)
    assert list(root.iterdir()) == []


# ----------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_the_real_cifar10(real_data):
    dataset = open_dataset("cifar10", root=real_data)
    assert dataset.train.images.shape == (50_000, 32, 32, 3)
    assert np.bincount(dataset.train.labels).tolist() == [5000] * 10
    # Published means of the training pixels: 0.4914, 0.4822, 0.4465.
    assert np.allclose(dataset.train.images.mean(axis=(0, 1, 2)) / 255, [0.4914, 0.4822, 0.4465], atol=1e-4)
    assert dataset.test.partial == (len(dataset.test) < 10_000)
