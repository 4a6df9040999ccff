"""MNIST (LeCun, Cortes and Burges) and Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017) from IDX files,
`mnist.npz` from Keras, or Hugging Face parquet.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.fetch import Archive
from tenfold.data.location import keras_cache
from tenfold.data.options import take_no_options
from tenfold.data.parquet import find_parquet, read_splits
from tenfold.data.source import Access, Place, source
from tenfold.errors import DataError, first_line
from tenfold.registry import DATASETS

SHAPE = (28, 28, 1)
COUNTS = {"train": 60_000, "test": 10_000}
PREFIXES = {"train": "train", "test": "t10k"}  # of the IDX file names
MAX_BYTES = 64 << 20  # of an array; the official training images have 47 million

ZALANDO = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"


@dataclass(frozen=True)
class Layout:
    """The classes of one of the two data sets, and the places to look for it.

    folders: under the root, with IDX or npz files; homes: under the root, with parquet at any depth; npz: names of npz
    files; caches: folders and npz files in the Keras cache; archives: the files to download, the training images last,
    because a folder that has them counts as found.
    """

    name: str
    classes: tuple[str, ...]
    folders: tuple[str, ...]
    homes: tuple[str, ...]
    npz: tuple[str, ...]
    caches: tuple[str, ...]
    archives: tuple[Archive, ...]


MNIST = Layout(
    "mnist", tuple("0123456789"), ("mnist", ".", "MNIST/raw"), ("mnist",), ("mnist.npz",), ("mnist.npz",),
    (Archive("https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
             "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1", 11_490_434),),
)
FASHION = Layout(
    "fashion-mnist",
    ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"), ("fashion-mnist", "fashion_mnist"),
    ("fashion-mnist.npz", "fashion_mnist.npz"), ("fashion-mnist",),
    (Archive(f"{ZALANDO}/t10k-labels-idx1-ubyte.gz",
             "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
     Archive(f"{ZALANDO}/t10k-images-idx3-ubyte.gz",
             "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
     Archive(f"{ZALANDO}/train-labels-idx1-ubyte.gz",
             "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
     Archive(f"{ZALANDO}/train-images-idx3-ubyte.gz",
             "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880)),
)


@DATASETS.add("mnist")
@source(where=lambda root: where_layout(MNIST, root))
def mnist(options: str, access: Access) -> Dataset:
    """MNIST: 70,000 handwritten digits of 28×28 grey pixels.

    Looks in the root for IDX files (`mnist/`, the root itself, `MNIST/raw/`), `mnist.npz` and parquet under `mnist/`,
    then in the Keras cache. If none is found and downloads are allowed, downloads `mnist.npz` into `mnist/`.
    Raises UsageError for options, DataError for missing or damaged files, FetchError, StorageError.
    """
    take_no_options("mnist", options)
    return open_layout(MNIST, access)


@DATASETS.add("fashion-mnist")
@source(where=lambda root: where_layout(FASHION, root))
def fashion_mnist(options: str, access: Access) -> Dataset:
    """Fashion-MNIST: 70,000 grey photographs of clothes, 28×28 pixels, in ten classes.

    Looks in the root for IDX files, `fashion-mnist.npz` and parquet in `fashion-mnist/`, `fashion_mnist/` or
    `FashionMNIST/raw/`, then in the Keras cache. If none is found and downloads are allowed, downloads the four
    official files into `fashion-mnist/`. Raises UsageError for options, DataError for missing or damaged files,
    FetchError, StorageError.
    """
    take_no_options("fashion-mnist", options)
    return open_layout(FASHION, access)


def where_layout(layout: Layout, root: Path) -> str | None:
    """The location of the data set, None if it is not on this machine."""
    place = locate(layout, root)
    return str(place.path) if place else None


def open_layout(layout: Layout, access: Access, counts: dict[str, int] | None = None) -> Dataset:
    """Open the data set from the first place that has it; `counts` are the official numbers of images."""
    counts = counts or COUNTS
    place = locate(layout, access.root)
    if place is None and access.fetch:
        for archive in layout.archives:
            archive.fetch(access.root / layout.name, access)
        place = locate(layout, access.root)
    if place is None:
        size = sum(archive.size for archive in layout.archives)
        raise DataError(f"{layout.name} is not in {access.root}; expected {layout.folders[0]}/ with IDX files such as "
                        f"{idx_name('train', 'images')}.gz, or train-*.parquet; run 'tenfold data fetch {layout.name}' "
                        f"({size / 1e6:.0f} MB) or set TENFOLD_DATA")
    if place.layout == "parquet":
        access.watcher.notice(f"reading {layout.name} from {place.path}")
        splits = read_splits(place, SHAPE, len(layout.classes), counts, access.watcher)
    else:
        splits = _from_arrays(layout, place, counts)
    return Dataset(layout.name, layout.name, layout.classes, train=splits["train"], test=splits["test"])


def locate(layout: Layout, root: Path) -> Place | None:
    """The first place under `root` or in the Keras cache that has the data set, None if there is none."""
    for folder in layout.folders:
        if find_idx(root / folder, "train", "images"):
            return Place("idx", root / folder, f"IDX files, {'the root' if folder == '.' else folder}")
    for path in (root / folder / name for folder in (*layout.folders, ".") for name in layout.npz):
        if path.is_file():
            return Place("npz", path, path.name)
    for home in (root / folder for folder in layout.homes):
        for path in [home, *sorted(path for path in home.rglob("*") if path.is_dir())] if home.is_dir() else []:
            if find_parquet(path, "train"):
                return Place("parquet", path, path.relative_to(root).as_posix())
    for path in (keras_cache() / name for name in layout.caches):
        if path.is_file():
            return Place("npz", path, f"Keras' cache, {path.name}")
        if find_idx(path, "train", "images"):
            return Place("idx", path, f"Keras' cache, {path.name}")
    return None


# ----------------------------------------------------------------------------------------------------
# IDX


def idx_name(split: str, kind: str) -> str:
    """The official file name of a split's images or labels, without `.gz`."""
    return f"{PREFIXES[split]}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"


def find_idx(folder: Path, split: str, kind: str) -> Path | None:
    """The IDX file of a split's "images" or "labels" in a folder: plain or `.gz`, with `-` or `.` before `idx`."""
    name = idx_name(split, kind)
    names = (name, name.replace("-idx", ".idx"))
    candidates = (folder / f"{stem}{ending}" for stem in names for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array with this number of `dimensions` in an IDX file of unsigned bytes, gzipped or not.

    Raises DataError if the header is wrong, or the file is shorter or longer than its header says.
    """
    magic, header = 0x0800 | dimensions, 4 + 4 * dimensions
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(header)
            if len(head) < header or struct.unpack(">I", head[:4])[0] != magic:
                raise DataError(f"{path}: begins with {head[:4].hex() or 'nothing'}; expected {magic:08x}, the IDX "
                                f"header of bytes in {dimensions} dimensions; download the file again")
            shape = struct.unpack(f">{dimensions}I", head[4:])
            expected = math.prod(shape)
            if expected > MAX_BYTES:
                raise DataError(f"{path}: the header declares {expected:,} bytes ({'×'.join(map(str, shape))}); "
                                f"expected at most {MAX_BYTES:,}; download the file again")
            content = file.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: {error}; expected a complete file; download it again") from None
    if len(content) != expected:
        received = f"{len(content):,}" if len(content) < expected else f"more than {expected:,}"
        raise DataError(f"{path}: received {received} bytes after the header; expected {expected:,} "
                        f"({'×'.join(map(str, shape))}); download the file again")
    return np.frombuffer(content, np.uint8).reshape(shape).copy()  # engines expect writable arrays


# ----------------------------------------------------------------------------------------------------
# the four official arrays


def _from_arrays(layout: Layout, place: Place, counts: dict[str, int]) -> dict[str, Split]:
    """Both splits from IDX files or an npz file. Raises DataError if an array does not have its official shape."""
    read = _read_idx_arrays if place.layout == "idx" else _read_npz_arrays
    arrays, path, splits = read(place.path), place.path, {}
    for name, count in counts.items():
        images, labels = arrays[name, "images"], arrays[name, "labels"]
        for kind, array, shape in (("images", images, (count, *SHAPE[:2])), ("labels", labels, (count,))):
            if array.dtype != np.uint8 or array.shape != shape:
                raise DataError(f"{path}: {name} {kind} are {array.dtype} {list(array.shape)}; "
                                f"expected uint8 {list(shape)}, the official {name} split")
        if count and labels.max() >= len(layout.classes):
            raise DataError(f"{path}: received the {name} label {labels.max()}; expected 0 to "
                            f"{len(layout.classes) - 1}; the file is damaged, download it again")
        provenance = Provenance(f"official {name} split ({place.words})", count)
        splits[name] = Split(images[..., np.newaxis], labels.astype(np.int64), provenance)
    return splits


def _read_idx_arrays(folder: Path) -> dict[tuple[str, str], np.ndarray]:
    """Images and labels by (split, kind) from the four files of a folder."""
    arrays = {}
    for split in PREFIXES:
        for kind, dimensions in (("images", 3), ("labels", 1)):
            path = find_idx(folder, split, kind)
            if path is None:
                raise DataError(f"{folder}: {idx_name(split, kind)} is missing; expected the four official files, "
                                "plain or as .gz; download it")
            arrays[split, kind] = read_idx(path, dimensions)
    return arrays


def _read_npz_arrays(path: Path) -> dict[tuple[str, str], np.ndarray]:
    """Images and labels by (split, kind) from `x_train`, `y_train`, `x_test` and `y_test` of an npz file."""
    letters = {"images": "x", "labels": "y"}
    keys = {(split, kind): f"{letters[kind]}_{split}" for split in PREFIXES for kind in letters}
    try:
        with path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
            return {place: _read_npy(archive, f"{key}.npy") for place, key in keys.items()}
    except Exception as error:  # a damaged archive may raise anything
        reason = error.args[0] if isinstance(error, KeyError) else first_line(error)
        raise DataError(f"{path}: {reason}; expected an npz file with {', '.join(keys.values())}; "
                        "remove it and download it again") from None


def _read_npy(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """The uint8 array in a member of the archive. Raises ValueError if its header and its size differ."""
    member = archive.getinfo(name)
    if member.file_size > MAX_BYTES or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} unpacks to {member.file_size:,} bytes; expected at most {MAX_BYTES:,}, "
                         "stored or deflated")
    content = io.BytesIO(archive.read(member))
    version = np.lib.format.read_magic(content)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(content)
    size = member.file_size - content.tell()
    if dtype != np.uint8 or math.prod(shape) != size:
        raise ValueError(f"{name} is {dtype} {list(shape)} in {size:,} bytes; expected uint8")
    # The copy is writable, as engines expect.
    return np.frombuffer(content.read(), np.uint8).reshape(shape, order="F" if fortran else "C").copy()
