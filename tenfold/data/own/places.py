"""Paths of own images: which source reads a path, and the path in a URI."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from tenfold.data.images import SUFFIXES, printable
from tenfold.errors import UsageError
from tenfold.storage.paths import absent, expanded

KINDS = {".csv": "csv", ".tsv": "csv", ".npz": "npz", ".pickle": "pickle", ".pkl": "pickle", ".parquet": "parquet",
         ".zip": "zip", ".tar": "tar", ".tgz": "tar", ".gz": "tar", ".bz2": "tar", ".xz": "tar", ".tbz2": "tar",
         ".txz": "tar"}
PATHS = ("folder", "csv", "npz", "pickle", "parquet", "zip", "tar", "kept")  # sources whose options are a path


def recognise(uri: str) -> str | None:
    """The URI `KIND:PATH` of a bare path, with the path made absolute; None if there is nothing at that path.

    A folder of parquet files, at any depth, is a parquet source, and so is a pattern of their names. Raises UsageError
    for a file of an unknown kind.
    """
    path = _path(uri)
    if path.suffix.lower() == ".parquet" and absent(path) and glob.has_magic(str(path)):
        return f"parquet:{path}"
    if not uri.strip() or absent(path):
        return None
    if (path / "dataset.json").is_file() or (path / "data" / "dataset.json").is_file():
        return f"kept:{path}"
    if path.is_dir():
        return f"parquet:{path}" if _holds_tables(path) else f"folder:{path}"
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"data set {printable(uri)}: received a file of an unknown kind; expected a folder, or a "
                         f"file ending in {', '.join(KINDS)}")
    return f"{kind}:{path}"


def _holds_tables(folder: Path) -> bool:
    """Whether the first of all files that is an image or a parquet file is a parquet file, and no image beside it."""
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        endings = {os.path.splitext(name)[1].lower() for name in files}
        if endings & {*SUFFIXES, ".parquet"}:
            return endings.isdisjoint(SUFFIXES)
    return False


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
    reason = absent(path, what) or ("" if (path.is_dir() if is_folder else path.is_file()) else f"it is no {what}")
    if reason:
        raise UsageError(f"data set {kind}: {printable(path)}: {reason}; expected {kind}:PATH, the path of a {what}")
    return path


def _path(text: str) -> Path:
    """The absolute path. Raises UsageError if it is no text: a run could not record where its images are."""
    path = os.path.abspath(expanded(text))
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UsageError(f"data set {printable(path)}: received a path whose bytes are no UTF-8 text; rename the "
                         "folder or file") from None
    return Path(path)


def data_name(uri: str) -> str:
    """A short name for the data set of a URI, fit for the name of a run: "photos" for "folder:/home/me/photos"."""
    kind, _, options = uri.partition(":")
    if kind == "hf" and options:
        return re.split("[:@]", options)[0].rpartition("/")[2]
    return path_name(_path(options)) if kind in PATHS and options else kind


def path_name(path: Path) -> str:
    """The name of a data set at a path: its last part without endings such as ".tar.gz"; of a pattern, the folder."""
    while glob.has_magic(path.name) and absent(path):
        path = path.parent
    endings = [suffix for suffix in path.suffixes[-2:] if suffix.lower() in KINDS]
    return re.sub(r"[^\w.+-]+", "-", path.name.removesuffix("".join(endings))).strip("-.+") or "images"
