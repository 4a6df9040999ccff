"""Results as JSON, with the machine, the versions and the command that measured them."""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def origin() -> dict[str, Any]:
    """Machine, engine, versions, commit, date and command of a measurement. Imports the engine."""
    from tenfold import machine
    from tenfold.environment import git_commit, versions

    module = sys.modules["__main__"].__spec__
    words = [_portable(word) for word in sys.argv[1:]]
    command = ["python", "-m", module.name if module else Path(sys.argv[0]).stem, *words]
    return {
        "machine": {**machine.facts(), **machine.configure().to_dict()}, "versions": versions(),
        "git_commit": git_commit(), "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": shlex.join(command),
    }


def positive(word: str) -> int:
    """A whole number from 1 up, as an argparse type."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"received {word}; expected a whole number from 1 up")
    return int(word)


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """One of some names, as an argparse type (argparse's `choices` refuse an empty list)."""
    known = list(names)

    def named(word: str) -> str:
        if word not in known:
            raise argparse.ArgumentTypeError(f"received {word}; expected one of {', '.join(known)}")
        return word

    return named


def _portable(word: str) -> str:
    """A word of a command without paths of this machine: a relative path in place of an absolute one, or its end."""
    path = Path(word)
    if not path.is_absolute():
        return word
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name


def write(path: Path | None, result: dict[str, Any]) -> None:
    """Print a result as JSON, and write it to `path` if given."""
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    print(text, end="")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def source(result: dict[str, Any]) -> str:
    """A sentence that says where a result comes from."""
    machine = result["machine"]
    threads = machine["threads"]
    return f"Measured by `{result['command']}` on {threads} thread{'s' * (threads > 1)} of {machine['processor']}."


def save(path: Path | None, arguments: argparse.Namespace, found: dict[str, Any]) -> None:
    """Write the settings of a simulation and what it found to `path`, if given."""
    if path is not None:
        settings = {name: value for name, value in vars(arguments).items() if name != "json"}
        path.write_text(json.dumps(settings | found, indent=2) + "\n", encoding="utf-8")


def read(name: str, results: Path = RESULTS) -> dict[str, Any] | None:
    """The committed result of that name, or None if it was not measured."""
    path = results / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
