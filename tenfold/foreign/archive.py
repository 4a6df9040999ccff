"""Checks `.keras` archives: their members and unpacked sizes."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from tenfold.errors import ModelFileError, first_line
from tenfold.foreign import graph, hdf5

GRAPH, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
IGNORED = ("tenfold.json",)  # Tenfold writes it; Keras does not need it
MAX_RATIO = 100  # unpacked : packed; JSON has 20 : 1, weights about 1 : 1
BLOCK = 1 << 20


def clean(path: Path, folder: Path, largest: int, known: Collection[str] = ()) -> Path:
    """Write a new `.keras` file to `folder` with only the checked graph and weights of `path`; return its path.

    known: as for `graph.check`.
    """
    with _opened(path, largest) as archive:
        with archive.open(GRAPH) as packed:  # `ZipFile.read` would unpack everything and ignore the declared size
            text = packed.read(graph.MAX_BYTES)
        config = graph.check(path, graph.parse(path, text, GRAPH), known)
        stored = _expand(path, archive, folder)
    hdf5.check(stored, largest)
    target = folder / "checked.keras"
    with zipfile.ZipFile(target, "w") as new:
        new.writestr(METADATA, json.dumps({"keras_version": "3", "date_saved": ""}))
        new.writestr(GRAPH, json.dumps(config))
        new.write(stored, WEIGHTS)
    stored.unlink()
    return target


def extract_weights(path: Path, folder: Path, largest: int) -> Path:
    """Write the checked weights of a `.keras` file to `folder` as HDF5; return the path."""
    with _opened(path, largest) as archive:
        stored = _expand(path, archive, folder)
    hdf5.check(stored, largest)
    return stored


class _Bounded(io.FileIO):
    """A file that limits the size of one read, because zipfile would read a table of contents of any length."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > graph.MAX_BYTES:
            raise zipfile.BadZipFile(f"a read of {size:,} bytes; expected at most {graph.MAX_BYTES:,}")
        return super().read(graph.MAX_BYTES if size is None or size < 0 else size) or b""


@contextlib.contextmanager
def _opened(path: Path, largest: int) -> Iterator[zipfile.ZipFile]:
    """The zip file with a checked table of contents. Damage found while it is open raises ModelFileError."""
    with _Bounded(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (OSError, ValueError, OverflowError, NotImplementedError, zipfile.BadZipFile):
            raise ModelFileError(f"{path}: is not a complete .keras file (it is truncated or not a zip)") from None
        with archive:
            _check_members(path, archive, largest)
            try:
                yield archive
            except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OverflowError, NotImplementedError,
                    RuntimeError, OSError, ValueError) as error:
                raise ModelFileError(f"{path}: is damaged ({first_line(error)})") from None


def _check_members(path: Path, archive: zipfile.ZipFile, largest: int) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    for member in members:
        name = member.filename
        if name not in (GRAPH, WEIGHTS, METADATA, *IGNORED):
            raise ModelFileError(f"{path}: refused: it contains {name[:80]!r}; expected only {GRAPH}, {METADATA} and "
                                 f"{WEIGHTS} (assets are not supported)")
        if names.count(name) > 1:
            raise ModelFileError(f"{path}: refused: it contains {name} twice; expected it once")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelFileError(f"{path}: refused: {name} is packed by method {member.compress_type}; expected stored "
                                 "or deflated")
        limit = largest if name == WEIGHTS else graph.MAX_BYTES
        if member.file_size > limit:
            raise ModelFileError(f"{path}: refused: {name} declares {member.file_size:,} bytes; expected at most "
                                 f"{limit:,}")
        if member.file_size > MAX_RATIO * max(member.compress_size, 1024):
            raise ModelFileError(f"{path}: refused: {name} unpacks {member.compress_size:,} bytes to "
                                 f"{member.file_size:,}; expected at most {MAX_RATIO} : 1")
    for name in (GRAPH, WEIGHTS):
        if name not in names:
            raise ModelFileError(f"{path}: has no {name}; expected a model saved by Keras 3 as .keras")


def _expand(path: Path, archive: zipfile.ZipFile, folder: Path) -> Path:
    """Write the weights to `folder`. zipfile returns no more bytes than the member declares."""
    target = folder / WEIGHTS
    with archive.open(WEIGHTS) as packed, target.open("wb") as file:
        while block := packed.read(BLOCK):
            file.write(block)
    return target
