"""Searches on a Ray cluster on this machine, whose worker process is killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from drill import Tally
from drill.searches import TRIALS_PER_KILL, begun, differs, found, lost, uninterrupted, words
from drill.training import Ground
from drill.victim import complaint, ended, start
from tenfold.extras import installed
from tenfold.jobs.cluster import AGAIN
from tenfold.search.results import read

WORKER = b"ray::_work"  # the name that Ray gives to the process of a call


def worker_killed(ground: Ground, count: int) -> Tally:
    """Kill the worker process of a search `count` times, each time in the trial after one that ended."""
    trials, tally, draw = TRIALS_PER_KILL * count, Tally(), random.Random(6)
    if not installed("ray"):
        tally.skipped = "Ray is not installed"
        return tally
    seconds, expected = uninterrupted(ground.place("search-alone"), trials)
    place = ground.place("search-cluster")
    arguments, log = [*words(place, trials), "--on", "ray"], place / "log"
    process = start(arguments, log)
    folder, complete = begun(place), 0
    for number in range(count):
        complete = _one_more(folder, complete)
        moment = draw.uniform(0, seconds / trials)
        time.sleep(moment)
        worker = _worker(process.pid)
        if worker is None:
            tally.add(f"kill {number + 1}", f"no worker process: {' '.join(complaint(log))}")
            break
        os.kill(worker, signal.SIGKILL)
        tally.add(f"kill {number + 1}, after {moment:.2f} s", lost(found(folder), expected))
        if (number + 1) % (AGAIN + 1) == 0:  # more often, the search ends and has to be repeated
            ended(process)
            process = start(arguments, log)
    code = ended(process, 1800)
    tally.add("the search at last", f"exit code {code}: {' '.join(complaint(log))}" if code else
              differs(found(folder), expected))
    tally.facts.append(f"{trials} trials; best trial {(read(folder) or {})['best']['number']}")
    return tally


def _one_more(folder: Path, before: int, timeout: float = 300) -> int:
    """The number of trials that have ended, as soon as it is above `before`. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        complete = sum(row["status"] not in ("waiting", "running") for row in found(folder))
        if complete > before:
            return complete
        time.sleep(0.1)
    raise TimeoutError(f"no trial ended within {timeout:g} s")


def _worker(pid: int | None) -> int | None:
    """The process in which Ray makes a call for that process."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(WORKER) and pid in _ancestors(int(path.parent.name)):
                return int(path.parent.name)
    return None


def _ancestors(pid: int) -> list[int]:
    found: list[int] = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        found.append(pid)
    return found
