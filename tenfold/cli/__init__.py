"""The command: each function parses, makes one library call and prints. No logic of its own.

Results go to standard output, progress to standard error. Exit codes: 0 done, 1 a failure, 2 a usage
mistake, 3 the disk is full, read-only or gone, 130 interrupted.
"""

from __future__ import annotations

from tenfold.cli import runs, showing  # noqa: F401  (importing them registers their commands)
from tenfold.cli.command import app, data_app, show_everything

__all__ = ["app", "data_app", "main"]


def main() -> None:
    """The entry point of the `tenfold` command."""
    show_everything()
    app()
