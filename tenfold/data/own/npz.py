"""npz files of images and labels, as NumPy and Keras write them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.data.own.arrays import list_arrays
from tenfold.data.own.build import own_dataset
from tenfold.data.own.places import existing
from tenfold.data.source import Access, own_files, source
from tenfold.errors import DataError, first_line
from tenfold.registry import DATASETS

ALWAYS = 256 << 20  # bytes that arrays may unpack to, however small the file is
RATIO = 60  # else at most so many times the file's size: images compress far less


@DATASETS.add("npz")
@source(where=own_files)
def npz(options: str, access: Access) -> Dataset:
    """Your own images: `npz:FILE` with x_train, y_train and so on, or images, labels and classes.

    Raises UsageError for a missing file, DataError for a damaged or unsuitable one.
    """
    path = existing(options, "npz")
    return own_dataset(list_arrays(path, "npz", read_npz(path)), access)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The numeric and text arrays of an npz file by name; no object is unpickled. Raises DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            size, most = sum(member.file_size for member in members), max(ALWAYS, RATIO * path.stat().st_size)
            if size > most:
                raise DataError(f"{path}: unpacks to {size:,} bytes; expected at most {most:,}")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members
                    if member.filename.endswith(".npy")}
    except DataError:
        raise
    except Exception as error:  # a damaged archive may raise anything
        raise DataError(f"{path}: {first_line(error)}; expected an npz file of arrays of numbers") from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """The array in a member; its header is checked against the size of the member before anything is allocated."""
    with archive.open(member) as stream:
        content = stream.read(member.file_size)
    buffer = io.BytesIO(content)
    version = np.lib.format.read_magic(buffer)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(buffer)
    if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize != len(content) - buffer.tell():
        raise ValueError(f"{member.filename} is {dtype} {list(shape)} in {len(content) - buffer.tell():,} bytes")
    return np.frombuffer(content, dtype, offset=buffer.tell()).reshape(shape, order="F" if fortran else "C")
