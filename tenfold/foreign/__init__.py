"""Model and weights files of others: checked before Keras or HDF5 opens them.

A `.keras` file is a zip of a JSON graph and HDF5 weights; both can ask a loader to run code, open other
files or take all memory. What is opened here is a private copy that `archive`, `graph` and `hdf5` have
found to hold nothing but Keras' own layers, plain weights of its own, and sizes that its bytes bear out.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tenfold.errors import ModelFileError
from tenfold.foreign import archive, graph, hdf5

LARGEST = 4 << 30  # bytes of a model or weights file, as it lies and expanded
MODELS, WEIGHTS = (".keras", ".h5"), (".weights.h5", ".h5", ".keras")


@contextlib.contextmanager
def model_copy(path: str | Path) -> Iterator[Path]:
    """A private copy of a `.keras` or whole-model `.h5` file that holds only the checked parts.

    Raises ModelFileError with what was refused. Shapes that the graph declares are `load_model`'s to check.
    """
    with _taken(Path(path), MODELS) as (copy, folder):
        if copy.suffix == ".keras":
            yield archive.cleaned(copy, folder, LARGEST)
        else:
            graph.check(copy, hdf5.model_config(hdf5.check(copy, LARGEST)))
            yield copy


@contextlib.contextmanager
def weights_copy(path: str | Path) -> Iterator[Path]:
    """A private copy of a weights file: `.weights.h5`, `.h5` or a `.keras` whose weights alone are meant.

    Gives the HDF5 file. Raises ModelFileError with what was refused.
    """
    with _taken(Path(path), WEIGHTS) as (copy, folder):
        if copy.suffix == ".keras":
            yield archive.weights(copy, folder, LARGEST)
        else:
            hdf5.check(copy, LARGEST)
            yield copy


def sha256_of(path: str | Path) -> str:
    """The SHA-256 (hex) of a file. Raises ModelFileError if it can't be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read: {error.strerror}") from None


@contextlib.contextmanager
def _taken(path: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """(copy, its private folder): the checked copy is loaded, even if the file changes meanwhile."""
    if not path.name.endswith(suffixes):
        raise ModelFileError(f"{path}: expected a file that ends in {' or '.join(suffixes)}")
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ModelFileError(f"{path}: is no file; expected one that ends in {' or '.join(suffixes)}")
        if size > LARGEST:
            raise ModelFileError(f"{path}: has {size:,} bytes; at most {LARGEST:,} are read")
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError:  # it holds a NUL
        raise ModelFileError(f"{str(path)!r}: is no path of a file") from None
    with tempfile.TemporaryDirectory(prefix="tenfold-model-") as name:
        copy = Path(name) / f"given{path.suffix}"
        try:
            shutil.copyfile(path, copy)
        except OSError as error:
            raise ModelFileError(f"{path}: can't be copied to {name}: {error.strerror}; make room there or set "
                                 "TMPDIR") from None
        try:
            yield copy, Path(name)
        except ModelFileError as error:
            own = rf"{re.escape(name)}/[\w.]+"  # of the copy and of what was unpacked from it
            raise ModelFileError(re.sub(own, lambda _: str(path), str(error))) from None
