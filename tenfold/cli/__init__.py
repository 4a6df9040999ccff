"""The command line: each function parses its arguments, makes one library call and prints the result.

Results go to standard output, progress to standard error. Exit codes: 0 success, 1 failure, 2 invalid
request, 3 the disk is full, read-only or gone, 130 interrupted.
"""

from __future__ import annotations

import io
import sys

from tenfold.cli import runs, showing  # noqa: F401  (the import registers their commands)
from tenfold.cli.command import app, data_app

__all__ = ["app", "data_app", "main"]


def main() -> None:
    """The entry point of the `tenfold` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be invalid Unicode
    app()
