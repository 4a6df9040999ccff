"""The command line: each function parses its arguments, makes one library call and prints the result.

Results go to standard output, progress to standard error. Exit codes: 0 success, 1 failure, 2 invalid
request, 3 the disk is full, read-only or gone, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import sys

from typer.exceptions import TyperException

from tenfold.cli import (  # noqa: F401  (importing them registers their commands)
    afterwards,
    exports,
    images,
    runs,
    showing,
    studies,
    tuning,
)
from tenfold.cli.command import app, data_app, show_everything

__all__ = ["app", "data_app", "main"]


def main() -> None:
    """The entry point of the `tenfold` command."""
    gc.set_threshold(200_000)  # imports and plots make many objects that stay: by default, a tenth of the time
    atexit.register(_leave)
    show_everything()
    try:
        code = app(prog_name="tenfold", standalone_mode=False)
    except TyperException as error:  # an unknown command or option, a missing argument
        print(_in_one_line(error), file=sys.stderr)
        code = error.exit_code
    sys.exit(code)


def _leave() -> None:
    """Keep Python from looking through all objects as it ends, which takes a second after importing PyTorch.

    It would also write what is left in open files that only a cycle of objects refers to, so that is done here.
    """
    for each in gc.get_objects():
        if type(each) in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
            with contextlib.suppress(Exception):  # closed, or the disk is full
                each.flush()
    gc.freeze()


def _in_one_line(error: TyperException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None or "\n" in message:  # the help of a command that was given nothing
        return message
    message = message[:1].lower() + message[1:] + ("" if message.endswith((".", "?")) else ".")
    return f"tenfold: {message} See `{context.command_path} --help`"
