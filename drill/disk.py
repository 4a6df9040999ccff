"""A disk that fills up during a training."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from drill import Tally
from drill.training import Ground, goes_on, operations, stray, words
from drill.victim import Fault, Fill, complaint, ended, start
from tenfold.errors import StorageError, TenfoldError
from tenfold.run import Run
from tenfold.training import checkpoint

SIZE = "24m"


def full(ground: Ground, count: int) -> Tally:
    """Fill the disk `count` times, each before another file is opened for writing; a few random bytes stay free."""
    whole, draw, tally = ground.whole, random.Random(5), Tally()
    total = operations(ground.place("operations-of-writing"), Fault("/runs/", 0, writes=True))
    for i in range(count):
        at, leave = 1 + i * total // count, draw.choice((0, draw.randrange(200_000)))
        place = ground.place(f"disk-full-{i}")
        try:
            with tmpfs(place):
                tally.add(f"full at write {at} but for {leave} bytes", _starve(place, at, leave, whole.content))
        except PermissionError as error:
            tally.skipped = str(error)
            return tally
    tally.facts.append(f"when a file is opened for writing: {count} of {total} times, evenly spread; up to 200 kB "
                       "stay free")
    return tally


def _starve(place: Path, at: int, leave: int, expected: dict[str, object]) -> str | None:
    ballast, log = place / "ballast", place.parent / f"{place.name}.log"
    code = ended(start(words(place), log, Fault("/runs/", at, Fill(ballast, leave), writes=True)))
    if code != StorageError.exit_code:
        return f"exit code {code}: {' '.join(complaint(log))}"
    if len(complaint(log)) != 1:
        return f"{len(complaint(log))} lines of complaint"
    for run in Run.list(place / "runs"):
        if problem := _untrue(run):
            return problem
    ballast.unlink()
    return goes_on(place, expected)


def _untrue(run: Run) -> str | None:
    """The problem of a run whose disk filled up; None if there is none."""
    if left := stray(run):
        return f"files are left over: {', '.join(left)}"
    try:
        if (status := run.status()["status"]) not in ("failed", "died"):
            return f"its status is {status}"
        for file in run.path.glob("*.json"):
            json.loads(file.read_text(encoding="utf-8"))
        if checkpoint.has(run, "last"):
            checkpoint.load(run, "last")
    except (TenfoldError, ValueError) as error:
        return str(error)
    return None


@contextlib.contextmanager
def tmpfs(path: Path) -> Iterator[None]:
    """A small file system in memory at `path`. Raises PermissionError where none can be mounted."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", path], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise PermissionError(f"a small file system can't be mounted here ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)  # a reader may have files of it mapped still
