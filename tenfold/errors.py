"""Every error that Tenfold raises on purpose.

    TenfoldError                     exit code 1
    ├── DataError                    a data set is missing, damaged or unsuitable
    │   └── FetchError               a download failed or brought the wrong bytes
    ├── RunError                     a directory is no run, or the run lacks a file
    ├── ImageError                   a file is not a readable image
    ├── ModelFileError               a model or weights file is refused, damaged or unsuitable
    ├── ExportError                  an exported model disagrees with its source
    ├── EngineError                  the engine can't work here (wrong Keras backend, say)
    │   └── WorkerError              a worker process died
    ├── DivergedError                the loss became NaN or infinite
    ├── StorageError                 exit code 3: the disk is full, read-only or gone
    ├── MissingExtraError            an optional dependency is not installed
    └── UsageError                   exit code 2: the request is invalid
        ├── MissingRunError          no run directory at that path; a RunError as well
        ├── UnknownNameError         no such recipe, data set, class, model, …
        └── RecipeError              a recipe with one or more validation errors

The message is one line: what is wrong, what was received, what was expected, what to do. A
`RecipeError` has one such line for each validation error. The `code` of an error stays the same when its
sentence is reworded.
"""

from __future__ import annotations

import copyreg
import difflib
import re
import reprlib
from collections.abc import Iterable
from typing import Any

MOST_PROBLEMS = 50  # validation errors that a RecipeError lists
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 200


class TenfoldError(Exception):
    """Base of all of them; `exit_code` is what the command returns."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles all errors alike, whatever their constructors take; worker processes send them to their parent."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    @property
    def code(self) -> str:
        """The kind of error as a stable word for programs: "data", "unknown_name", …"""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__.removesuffix("Error")).lower()


class DataError(TenfoldError):
    """A data set is missing, damaged or unsuitable."""


class FetchError(DataError):
    """A download failed, stalled or brought bytes with another hash."""


class RunError(TenfoldError):
    """A directory is no run, or the run lacks a file."""


class ImageError(TenfoldError):
    """A file is not a readable image."""


class ModelFileError(TenfoldError):
    """A model or weights file is missing, refused, damaged or unsuitable."""


class ExportError(TenfoldError):
    """An exported model does not give the predictions of its source."""


class EngineError(TenfoldError):
    """The training engine can't work in this process or on this machine."""


class WorkerError(EngineError):
    """A worker process died: it was killed, or its memory was short."""


class DivergedError(TenfoldError):
    """The training loss became NaN or infinite, in that step of that epoch (both from 1)."""

    def __init__(self, message: str, epoch: int, step: int) -> None:
        super().__init__(message)
        self.epoch, self.step = epoch, step


class StorageError(TenfoldError):
    """A file could not be written: disk full, read-only or gone."""

    exit_code = 3


class MissingExtraError(TenfoldError):
    """An optional dependency is needed and not installed."""


class UsageError(TenfoldError):
    """The request is invalid: a wrong name, key or value."""

    exit_code = 2


class MissingRunError(UsageError, RunError):
    """There is no run directory at a path."""


class UnknownNameError(UsageError):
    """A name that is not among the known ones; the message suggests the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str], candidates: Iterable[str] | None = None) -> None:
        super().__init__(unknown(kind, name, known, candidates))


class RecipeError(UsageError):
    """A recipe with validation errors: all of them, one line each in `problems`."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        lines = self.problems if len(self.problems) > 1 else (f"{source}: {self.problems[0]}",)
        if len(lines) > MOST_PROBLEMS:
            lines = (*lines[:MOST_PROBLEMS], f"and {len(lines) - MOST_PROBLEMS:,} more")
        head = f"{source}: {len(self.problems):,} errors"
        super().__init__("\n  ".join([head, *lines]) if len(self.problems) > 1 else lines[0])


def first_line(error: BaseException) -> str:
    """The first line of another library's message, without characters that do not print."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return in_one_line(lines[0])


def in_one_line(text: str) -> str:
    """At most 200 characters of a text of unknown origin; those that do not print become question marks."""
    return "".join(character if character.isprintable() else "?" for character in text[:200])


def shown(value: object) -> str:
    """A value as in Python, shortened where it is long; always one line."""
    return SHORT.repr(value)


def unknown(kind: str, name: str, known: Iterable[str], candidates: Iterable[str] | None = None) -> str:
    """The sentence for an unknown name: what was received, the nearest name, the known ones.

    candidates: among which the nearest is looked for, if not among the known ones.
    """
    known = list(known)
    among = known if candidates is None else list(candidates)
    near = difflib.get_close_matches(name, among, n=1, cutoff=0.5) if len(name) <= SHORT.maxstring else []
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {shown(name)}; {hint}choose from: {', '.join(known)}"


def type_of(value: object) -> str:
    """The type of a value in words, never its content: "an int", "a list", "None"."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
