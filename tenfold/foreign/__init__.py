"""Checks model and weights files from untrusted sources before Keras or HDF5 opens them.

A `.keras` file is a zip of a JSON graph and HDF5 weights. Both can make a loader run code, open other files or use up
all memory. So Keras opens only a private copy. `archive`, `graph` and `hdf5` check that it has only Keras' own layers
and plain weights inside the file, and that its declared sizes match its bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from tenfold.errors import ModelFileError
from tenfold.foreign import archive, graph, hdf5

MAX_BYTES = 4 << 30  # of a model or weights file, both packed and unpacked
MODELS, WEIGHTS = (".keras", ".h5"), (".weights.h5", ".h5", ".keras")


@contextlib.contextmanager
def model_copy(path: str | Path, known: Collection[str] = ()) -> Iterator[Path]:
    """A private copy of a `.keras` or whole-model `.h5` file with only the checked parts.

    known: names of classes of the user's own that it may use. Raises ModelFileError that names the refused part.
    `load_model` checks the shapes that the graph declares.
    """
    with _private_copy(Path(path), MODELS) as (copy, folder):
        if copy.suffix == ".keras":
            yield archive.clean(copy, folder, MAX_BYTES, known)
        else:
            graph.check(copy, hdf5.model_config(hdf5.check(copy, MAX_BYTES)), known)
            yield copy


@contextlib.contextmanager
def weights_copy(path: str | Path) -> Iterator[Path]:
    """A private HDF5 copy of the weights in a `.weights.h5`, `.h5` or `.keras` file.

    Raises ModelFileError that names the refused part.
    """
    with _private_copy(Path(path), WEIGHTS) as (copy, folder):
        if copy.suffix == ".keras":
            yield archive.extract_weights(copy, folder, MAX_BYTES)
        else:
            hdf5.check(copy, MAX_BYTES)
            yield copy


def sha256_of(path: str | Path) -> str:
    """The SHA-256 (hex) of a file. Raises ModelFileError if it can't be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read: {error.strerror}") from None


@contextlib.contextmanager
def _private_copy(path: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """(copy, its private folder). Checking and loading use the copy, because the file could change in between."""
    if not path.name.endswith(suffixes):
        raise ModelFileError(f"{path}: wrong file name; expected one that ends in {' or '.join(suffixes)}")
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ModelFileError(f"{path}: is not a regular file; expected one that ends in {' or '.join(suffixes)}")
        if size > MAX_BYTES:
            raise ModelFileError(f"{path}: has {size:,} bytes; expected at most {MAX_BYTES:,}")
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError:  # the path has a null character
        raise ModelFileError(f"{str(path)!r}: is not a valid path") from None
    with tempfile.TemporaryDirectory(prefix="tenfold-model-") as name:
        copy = Path(name) / f"given{path.suffix}"
        try:
            shutil.copyfile(path, copy)
        except OSError as error:
            raise ModelFileError(f"{path}: can't be copied to {name}: {error.strerror}; free some space "
                                 "there or set TMPDIR") from None
        try:
            yield copy, Path(name)
        except ModelFileError as error:
            private_paths = rf"{re.escape(name)}/[\w.]+"  # of the copy and of its unpacked parts
            raise ModelFileError(re.sub(private_paths, lambda _: str(path), str(error))) from None
