"""Free and reserved space on the disk."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def free(path: Path) -> int:
    """Free bytes on the disk of `path`, which need not exist yet."""
    path = path.absolute()
    return shutil.disk_usage(next(parent for parent in (path, *path.parents) if parent.exists())).free


def allocated(path: Path) -> int:
    """Bytes allocated to a file on the disk: fewer than its size if it has holes, 0 if it is missing."""
    if not path.exists():
        return 0
    status = path.stat()
    return min(status.st_size, 512 * getattr(status, "st_blocks", status.st_size))


def reserve(path: Path) -> None:
    """Allocate the holes of a file before it is memory-mapped; a full disk would crash writes to the map.

    Raises OSError if the disk is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # the file system does not support it
                raise
