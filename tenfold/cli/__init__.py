"""The command line: each function parses its arguments, makes one library call and prints the result.

Results go to standard output, progress to standard error. Exit codes: 0 success, 1 failure, 2 invalid
request, 3 the disk is full, read-only or gone, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import atexit
import gc
import sys

from typer.exceptions import TyperException

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
    gc.set_threshold(200_000)  # imports and plots make many objects that stay: by default, a tenth of the time
    atexit.register(gc.freeze)  # else Python looks through all of them as it ends: a second after importing PyTorch
    show_everything()
    try:
        code = app(prog_name="tenfold", standalone_mode=False)
    except TyperException as error:  # an unknown command or option, a missing argument
        print(_in_one_line(error), file=sys.stderr)
        code = error.exit_code
    sys.exit(code)


def _in_one_line(error: TyperException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None or "\n" in message:  # the help of a command that was given nothing
        return message
    message = message[:1].lower() + message[1:] + ("" if message.endswith((".", "?")) else ".")
    return f"tenfold: {message} See `{context.command_path} --help`"
