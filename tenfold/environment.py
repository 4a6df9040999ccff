"""Versions, machine, engine settings and data: recorded in runs and shown by `tenfold doctor`."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tenfold import machine
from tenfold.data.dataset import Dataset
from tenfold.data.images import printable
from tenfold.errors import UsageError

LIBRARIES = (
    "tenfold", "keras", "torch", "numpy", "scikit-learn", "scipy", "pyarrow", "pillow", "matplotlib", "pydantic",
)

MOST_LEFT_OUT = 1000  # files of a data set that are not used, recorded by name


def versions() -> dict[str, str]:
    """The versions of Python and the libraries, without importing them."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str | None:
    """The commit of the working directory, with "+changes" if tracked files differ; None outside a git repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"],
            capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def describe(dataset: Dataset, engine_choice: dict[str, Any], seed: int, parameters: int, flops: int) -> dict[str, Any]:
    """The content of a run's `environment.json`."""
    return {
        "versions": versions(), "machine": machine.facts(), **engine_choice, "seed": seed,
        "model": {"parameters": parameters, "flops_per_image": flops},
        "dataset": describe_dataset(dataset),
        "command": _command(), "git_commit": git_commit(),
    }


def _command() -> str:
    """The command of this process, without the passwords in URLs."""
    words = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return printable(re.sub(r"(://[^\s:/@]*):[^\s@]*@", r"\1@", words))


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Name, URI, classes, shape and fingerprint of a data set; count and source of each split.

    The "identity" of the data set and of a split is equal for the same images at different sizes.
    """
    return {
        "name": dataset.name, "uri": dataset.uri, "classes": list(dataset.classes), "shape": list(dataset.shape),
        "fingerprint": dataset.fingerprint(), "identity": dataset.identity(), "notes": list(dataset.notes),
        "left_out": [{"name": one.name, "reason": one.reason} for one in dataset.left_out[:MOST_LEFT_OUT]],
        "left_out_count": len(dataset.left_out),
        "splits": {
            name: {"count": len(split), "source": split.provenance.source, "partial": split.partial,
                   "held_out": split.provenance.held_out, "expected": split.provenance.expected,
                   "fingerprint": split.fingerprint(), "identity": split.identity(),
                   **({"fold_of": split.provenance.fold_of} if split.provenance.fold_of else {})}
            for name, split in dataset.splits().items()
        },
    }


def extras() -> dict[str, str]:
    """Each optional extra of Tenfold: "installed", or the missing packages and the command that installs them."""
    found: dict[str, str] = {}
    for name in importlib.metadata.metadata("tenfold").get_all("Provides-Extra") or []:
        if name == "dev":
            continue  # for developers of Tenfold
        needs = [r for r in importlib.metadata.requires("tenfold") or [] if f"extra == '{name}'" in r.replace('"', "'")]
        missing = [need for need in map(_distribution, needs) if not _installed(need)]
        found[name] = f"missing {', '.join(missing)}: pip install 'tenfold[{name}]'" if missing else "installed"
    return found


def _distribution(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def diagnose() -> dict[str, Any]:
    """The output of `tenfold doctor`: machine, engine settings, versions, extras and data sets."""
    from tenfold.data import catalogue, data_root

    places = {name: entry["where"] or "not here" for name, entry in catalogue().items()}
    return {
        "machine": machine.facts(),
        "engine": _engine(),
        "versions": versions(),
        "extras": extras(),
        "data": {"root": str(data_root()), **places},
    }


def _engine() -> dict[str, str]:
    """The engine settings on this machine, or the reason why it can't run."""
    notes: list[str] = []
    try:
        machine.check(notes.append)
        return {**machine.current().to_dict(), **({"note": notes[0]} if notes else {})}
    except UsageError as error:
        return {"refused": str(error)}
