"""Room on the disk."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def free(path: Path) -> int:
    """Bytes that are free where `path` is or will be."""
    path = path.absolute()
    return shutil.disk_usage(next(place for place in (path, *path.parents) if place.exists())).free


def allocated(path: Path) -> int:
    """Bytes of the disk that a file holds already: fewer than its size where it has holes, 0 if there is none."""
    if not path.exists():
        return 0
    status = path.stat()
    return min(status.st_size, 512 * getattr(status, "st_blocks", status.st_size))


def reserve(path: Path) -> None:
    """Fill the holes of a file that is written through memory: a full disk is an OSError here, and a crash there."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # what a disk says that can't
                raise
