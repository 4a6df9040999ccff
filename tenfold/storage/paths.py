"""Paths that users name: the home directory in them, whether something is there, and the content of small files."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from pathlib import Path

from tenfold.errors import UsageError

ADDRESS = re.compile(r"(https?|ftp|file|s3|gs):/")  # a path has one slash of two left


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~name` replaced by home directories; unchanged if there is no such user."""
    with contextlib.suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def absent(path: str | Path, what: str = "file or directory") -> str | None:
    """The reason why nothing can be found at a path, as in "no such file or directory"; None if something is there."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return f"no such {what}"
        reason = error.strerror or str(error)
        return reason[:1].lower() + reason[1:]
    except ValueError:  # it contains a null character
        return f"no such {what}"
    return None


def check_present(path: str | Path) -> None:
    """Raise UsageError if there is nothing at the path of an image or a folder of images."""
    reason = absent(path, "file or folder")
    if reason and (kind := ADDRESS.match(str(path))):
        raise UsageError(f"{printable(path)}: received an address ({kind[1]}), which is not read; expected image files "
                         "or folders of images: download it first")
    if reason:
        raise UsageError(f"{printable(path)}: {reason}; expected image files or folders of images")


def check_file_name(name: str, path: Path, *suffixes: str) -> None:
    """Raise UsageError unless a file with the first of the suffixes, or another of them, can be written at the path."""
    if path.suffix.lower() not in suffixes or path.is_dir():
        raise UsageError(f"{name}: received {printable(path)}; expected a file name ending in {suffixes[0]}")


def printable(path: str | os.PathLike[str]) -> str:
    """The path with "?" for each unprintable character: file names may hold line breaks or invalid text."""
    text = os.fspath(path)
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def read_small(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises OSError; ValueError for any other file.

    Reading a pipe or a device might never end.
    """
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content
