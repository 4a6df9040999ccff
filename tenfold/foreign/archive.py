"""`.keras` archives: which members they may have, and how much they may expand to."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from tenfold.errors import ModelFileError, first_line
from tenfold.foreign import graph, hdf5

GRAPH, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
IGNORED = ("tenfold.json",)  # written by Tenfold, of no use to Keras
RATIO = 100  # expanded : packed; JSON packs 20 : 1, weights hardly
BLOCK = 1 << 20


def cleaned(path: Path, folder: Path, largest: int) -> Path:
    """A new `.keras` file in `folder` of the graph and the weights of `path`, both checked, and nothing else."""
    with _opened(path, largest) as archive:
        with archive.open(GRAPH) as packed:  # zipfile's own `read` expands all, whatever size is declared
            text = packed.read(graph.LARGEST)
        config = graph.check(path, graph.parsed(path, text, GRAPH))
        stored = _expand(path, archive, folder)
    hdf5.check(stored, largest)
    target = folder / "checked.keras"
    with zipfile.ZipFile(target, "w") as new:
        new.writestr(METADATA, json.dumps({"keras_version": "3", "date_saved": ""}))
        new.writestr(GRAPH, json.dumps(config))
        new.write(stored, WEIGHTS)
    stored.unlink()
    return target


def weights(path: Path, folder: Path, largest: int) -> Path:
    """Only the weights of a `.keras` file, checked, as an HDF5 file in `folder`."""
    with _opened(path, largest) as archive:
        stored = _expand(path, archive, folder)
    hdf5.check(stored, largest)
    return stored


class _Bounded(io.FileIO):
    """A file that is not read in one go: zipfile would take a table of contents of any length."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > graph.LARGEST:
            raise zipfile.BadZipFile(f"at most {graph.LARGEST:,} bytes are read at a time")
        return super().read(graph.LARGEST if size is None or size < 0 else size) or b""


@contextlib.contextmanager
def _opened(path: Path, largest: int) -> Iterator[zipfile.ZipFile]:
    """The zip file, its table of contents checked; damage found while it is open becomes a ModelFileError."""
    with _Bounded(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (OSError, ValueError, OverflowError, NotImplementedError, zipfile.BadZipFile):
            raise ModelFileError(f"{path}: is no whole .keras file (it is truncated, or no zip at all)") from None
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
            raise ModelFileError(f"{path}: refused: it holds {name[:80]!r}; expected {GRAPH}, {METADATA} and "
                                 f"{WEIGHTS} alone (assets are not taken)")
        if names.count(name) > 1:
            raise ModelFileError(f"{path}: refused: it holds {name} twice")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelFileError(f"{path}: refused: {name} is packed by method {member.compress_type}; stored or "
                                 "deflated ones are read")
        limit = largest if name == WEIGHTS else graph.LARGEST
        if member.file_size > limit:
            raise ModelFileError(f"{path}: refused: {name} declares {member.file_size:,} bytes; at most {limit:,} "
                                 "are read")
        if member.file_size > RATIO * max(member.compress_size, 1024):
            raise ModelFileError(f"{path}: refused: {name} expands {member.compress_size:,} bytes to "
                                 f"{member.file_size:,}; at most {RATIO} : 1 is taken")
    for name in (GRAPH, WEIGHTS):
        if name not in names:
            raise ModelFileError(f"{path}: has no {name}; expected a model saved by Keras 3 as .keras")


def _expand(path: Path, archive: zipfile.ZipFile, folder: Path) -> Path:
    """Write the weights to `folder`; zipfile gives no more bytes than the member declares."""
    target = folder / WEIGHTS
    with archive.open(WEIGHTS) as packed, target.open("wb") as file:
        while block := packed.read(BLOCK):
            file.write(block)
    return target
