"""`.keras` archives: which members they may have, and how much they may expand to."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path

from tenfold.errors import ModelFileError, first_line
from tenfold.foreign import graph, hdf5

GRAPH, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
IGNORED = ("tenfold.json",)  # written by Tenfold, of no use to Keras
RATIO = 100  # expanded : packed; JSON packs 20 : 1, weights hardly
BLOCK = 1 << 20


def cleaned(path: Path, folder: Path, largest: int) -> Path:
    """A new `.keras` file in `folder` of the graph and the weights of `path`, both looked through; nothing else."""
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
    """The weights of a `.keras` file alone, looked through, as an HDF5 file in `folder`."""
    with _opened(path, largest) as archive:
        stored = _expand(path, archive, folder)
    hdf5.check(stored, largest)
    return stored


class _opened:  # noqa: N801  (reads as a word of the language: `with _opened(path, largest) as archive:`)
    """The zip file, its table of contents checked; damage found while it is open becomes a ModelFileError."""

    def __init__(self, path: Path, largest: int) -> None:
        self.path, self.largest = path, largest

    def __enter__(self) -> zipfile.ZipFile:
        try:
            self.archive = zipfile.ZipFile(self.path)
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
            raise ModelFileError(f"{self.path}: is no whole .keras file (it is truncated, or no zip at all)") from None
        try:
            _check_members(self.path, self.archive, self.largest)
        except BaseException:
            self.archive.close()
            raise
        return self.archive

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.archive.close()
        if isinstance(error, (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)):
            raise ModelFileError(f"{self.path}: is damaged ({first_line(error)})") from None


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
