"""What all commands share: the application, options that several take, errors as one line and an exit code."""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.errors import TenfoldError

if TYPE_CHECKING:
    from tenfold.progress.lines import LineWatcher

app = typer.Typer(
    name="tenfold", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn labelled images into a classifier you can trust: trained fast on ordinary processors, "
         "judged honestly, offline.",
)
data_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at data sets and fetch them.")
app.add_typer(data_app, name="data")

DATA = "A data set's name or URI; `tenfold data list` shows them."
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="The directory that holds the runs.")]
Name = Annotated[str | None, typer.Option("--name", help="The run's name; a number is appended.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe's key, as in train.epochs=20; repeatable."),
]
Data = Annotated[str | None, typer.Option("--data", metavar="DATA", help=DATA)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]

_debug = False


def command(
    group: typer.Typer, name: str | None = None, *, short: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a command that turns errors into one line and an exit code.

    `short` stands in the list of commands where the first line of the docstring is too long for it.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
                sys.stdout.flush()
            except TenfoldError as error:
                _fail(str(error), error.exit_code)
            except KeyboardInterrupt:
                _fail("interrupted", 130)
            except BrokenPipeError:  # the reader of our output has gone, as in `tenfold recipes | head -1`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            except typer.Exit:
                raise
            except Exception as error:
                reason = str(error).splitlines()[0] if str(error) else ""
                _fail(f"unexpected {type(error).__name__}: {reason} (`tenfold --debug …` shows where)", 1)

        group.command(name, short_help=short)(run)
        return function

    return register


def watching() -> LineWatcher:
    """The watcher of a command, on standard error: a context manager."""
    from tenfold.progress.bars import terminal_watcher

    return terminal_watcher()


def show_everything() -> None:
    """Have characters that standard output or error can't show become question marks instead of errors.

    These may be in a file's name that is no valid text, or all beyond ASCII where the environment says so.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _fail(message: str, code: int) -> None:
    if _debug:
        import traceback

        traceback.print_exc()
    print(f"tenfold: {message}", file=sys.stderr)
    raise typer.Exit(code)


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """What comes before the command."""
    global _debug
    _debug = debug
    if version:
        import tenfold

        print(f"tenfold {tenfold.__version__}")
        raise typer.Exit
