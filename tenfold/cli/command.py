"""Shared by all commands: the application, common options, errors as one line and an exit code."""

from __future__ import annotations

import errno
import functools
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.models import OptionInfo

from tenfold.errors import TenfoldError, UsageError, first_line
from tenfold.interrupt import Terminated, terminable
from tenfold.plugins import load_file

if TYPE_CHECKING:
    from tenfold.progress.lines import LineWatcher

app = typer.Typer(
    name="tenfold", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn labelled images into an image classifier: train, evaluate and compare models on ordinary "
         "processors, offline.",
)
data_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show, check and download data sets.")
app.add_typer(data_app, name="data")

DATA = "Name or URI of a data set; see `tenfold data list`."
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Directory for the runs.")]
Name = Annotated[str | None, typer.Option("--name", help="Name of the run; a number is appended.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe key, as in train.epochs=20; repeatable."),
]
Data = Annotated[str | None, typer.Option("--data", metavar="DATA", help=DATA)]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, max=1024, metavar="N", help="Number of processes that train at the "
                             "same time and share the threads. Default: 1; with --on, one for each core.")]
On = Annotated[str | None, typer.Option("--on", metavar="ADDRESS", help="Run on a Ray cluster: ray (a new one on this "
                                        "machine), ray://HOST:PORT or HOST:PORT.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]

_debug = False


def command(
    group: typer.Typer, name: str | None = None, *, short: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a command that turns errors into one line and an exit code.

    `short` is the description in the list of commands; by default, the docstring's first line.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                with terminable():
                    function(*args, **kwargs)
                sys.stdout.flush()
            except TenfoldError as error:
                _fail(_with_option(str(error), function), error.exit_code)
            except Terminated:
                _fail("terminated", 143)
            except KeyboardInterrupt:
                _fail("interrupted", 130)
            except BrokenPipeError:  # the reader has closed the pipe, as in `tenfold recipes | head -1`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            except typer.Exit:
                raise
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
                    _fail("can't write the output: no space left on the device; free some space there", 3)
                _unexpected(error)
            except Exception as error:
                _unexpected(error)

        group.command(name, short_help=short)(run)
        return function

    return register


def _with_option(message: str, function: Callable[..., Any]) -> str:
    """A message about a parameter in Python ("min_ranks: received 0"), said of the command's option: "--min-ranks: …".
    """
    name, received, rest = message.partition(": received ")
    option = f"--{name.replace('_', '-')}"
    options: set[str] = set()
    for parameter, hint in get_type_hints(function, include_extras=True).items():
        for each in getattr(hint, "__metadata__", ()):
            if isinstance(each, OptionInfo):  # in an annotation, Typer holds the first name as the default
                named = {*([each.default] if isinstance(each.default, str) else []), *(each.param_decls or ())}
                options |= named or {f"--{parameter.replace('_', '-')}"}
    shown = next((each for each in (option, option.removesuffix("s")) if each in options), name)
    return f"{shown}{received}{rest}"


def _unexpected(error: Exception) -> None:
    _fail(f"unexpected {type(error).__name__}: {first_line(error)} (`tenfold --debug …` shows the traceback)", 1)


def watching() -> LineWatcher:
    """A context manager that shows a command's progress on standard error."""
    from tenfold.progress.bars import terminal_watcher

    return terminal_watcher()


def show_everything() -> None:
    """Have characters that standard output or error can't show become question marks instead of errors.

    These may be in a file's name that is no valid text, or all beyond ASCII where the environment says so.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_json(value: Any) -> None:
    """Print a value as JSON; characters that standard output can't show are escaped."""
    shows_all = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=not shows_all))


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
    plugin: Annotated[list[Path] | None, typer.Option("--plugin", metavar="FILE.py", envvar="TENFOLD_PLUGIN",
                      help="Python file that registers models or data sets of your own; repeatable.")] = None,
) -> None:
    """The options that come before the command's name."""
    global _debug
    _debug = debug
    try:
        for path in plugin or ():
            load_file(path)
    except TenfoldError as error:
        _fail(str(error), error.exit_code)
    if version:
        import tenfold

        print(f"tenfold {tenfold.__version__}")
        raise typer.Exit


def one_format(csv: bool, as_json: bool) -> None:
    """Raise UsageError for both of two formats."""
    if csv and as_json:
        raise UsageError("received --csv and --json; expected at most one of them: leave one out")


def refuse_both(option: str, others: Mapping[str, bool]) -> None:
    """Raise UsageError for the first other option that was given as well."""
    for other, given in others.items():
        if given:
            raise UsageError(f"received {option} and {other}; expected at most one of them: leave one out")
