"""Paths of own images: which source reads a path, and the path in a URI."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tenfold.data.images import printable
from tenfold.errors import UsageError

KINDS = {".csv": "csv", ".tsv": "csv", ".npz": "npz", ".pickle": "pickle", ".pkl": "pickle", ".parquet": "parquet",
         ".zip": "zip", ".tar": "tar", ".tgz": "tar", ".gz": "tar", ".bz2": "tar", ".xz": "tar", ".tbz2": "tar",
         ".txz": "tar"}
PATHS = ("folder", "csv", "npz", "pickle", "parquet", "zip", "tar")  # sources whose options are a path


def recognise(uri: str) -> str | None:
    """The URI `KIND:PATH` of a bare path, with the path made absolute; None if there is nothing at that path.

    A folder that holds only parquet files is a parquet source. Raises UsageError for a file of an unknown kind.
    """
    path = _path(uri)
    try:
        if path.is_dir():
            names = [entry.name for entry in os.scandir(path) if not entry.name.startswith(".")]
            tables = bool(names) and all(name.endswith(".parquet") or name.lower().startswith("readme")
                                         for name in names)
            return f"parquet:{path}" if tables else f"folder:{path}"
        if not path.exists():
            return None
    except OSError:
        return None
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"data set {printable(uri)}: received a file of an unknown kind; expected a folder, or a "
                         f"file ending in {', '.join(KINDS)}")
    return f"{kind}:{path}"


def absolute(uri: str) -> str:
    """The URI with its path made absolute, so that a run finds its images from another working directory."""
    kind, colon, options = uri.partition(":")
    return f"{kind}:{_path(options)}" if colon and kind in PATHS and options else uri


def existing(options: str, kind: str, is_folder: bool = False) -> Path:
    """The path in the options of a source. Raises UsageError if there is no such file, or folder."""
    what = "folder" if is_folder else "file"
    if not options:
        raise UsageError(f"data set {kind}: received no path; expected {kind}:PATH, the path of a {what}")
    path = _path(options)
    try:
        found = path.is_dir() if is_folder else path.is_file()
    except OSError:
        found = False
    if not found:
        raise UsageError(f"data set {kind}: {printable(path)}: no such {what}; expected {kind}:PATH, the path of a "
                         f"{what}")
    return path


def _path(text: str) -> Path:
    try:
        return Path(os.path.abspath(Path(text).expanduser()))
    except (RuntimeError, ValueError):  # no such user; a null character
        return Path(text)


def data_name(uri: str) -> str:
    """A short name for the data set of a URI, fit for the name of a run: "photos" for "folder:/home/me/photos"."""
    kind, _, options = uri.partition(":")
    return path_name(_path(options)) if kind in PATHS and options else kind


def path_name(path: Path) -> str:
    """The name of a data set at a path: the last part, without endings such as ".tar.gz"."""
    endings = [suffix for suffix in path.suffixes[-2:] if suffix.lower() in KINDS]
    return re.sub(r"[^\w.+-]+", "-", path.name.removesuffix("".join(endings))).strip("-.+") or "images"
