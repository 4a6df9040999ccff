"""The command line: each function parses its arguments, makes one library call and prints the result.

Results go to standard output, progress to standard error. Exit codes: 0 success, 1 failure, 2 invalid
request, 3 the disk is full, read-only or gone, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import gc

from tenfold.cli import (  # noqa: F401  (importing them registers their commands)
    afterwards,
    exports,
    runs,
    showing,
    studies,
    tuning,
)
from tenfold.cli.command import app, data_app, show_everything

__all__ = ["app", "data_app", "main"]


def main() -> None:
    """The entry point of the `tenfold` command."""
    gc.set_threshold(50_000)  # imports and plots make many objects that stay: by default, a tenth of the time
    show_everything()
    app()
