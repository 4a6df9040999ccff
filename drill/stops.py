"""Ctrl-C and SIGTERM."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

from drill import Tally
from drill.training import Ground, begun, goes_on, stray, words
from drill.victim import ended, start

SECONDS = 5.0


def anywhere(ground: Ground, count: int) -> Tally:
    """Stop `count` trainings at random moments; every third gets the signal twice."""
    whole, draw, tally = ground.whole, random.Random(3), Tally()
    slowest, late = 0.0, 0
    while tally.tries < count:
        i = tally.tries
        place, number = ground.place(f"stop-{i + late}"), (signal.SIGINT, signal.SIGTERM)[i % 2]
        process = start(words(place), place / "log")
        run = begun(place)
        time.sleep(draw.uniform(0, 0.9 * whole.seconds))
        before = time.monotonic()
        _send(process.pid, number)
        if i % 3 == 2:
            time.sleep(0.01)
            _send(process.pid, number)
        code = ended(process)
        took = time.monotonic() - before
        if code == 0:
            late += 1  # it was done already
            continue
        slowest = max(slowest, took)
        status = run.status()["status"]
        problem = (f"exit code {code}" if code != 130 else f"took {took:.1f} s" if took > SECONDS
                   else f"status {status}" if status != "stopped" else f"left {stray(run)}" if stray(run)
                   else goes_on(place, whole.content))
        tally.add(f"{number.name} in try {i + 1}", problem)
    tally.facts.append(f"the slowest stop took {slowest:.2f} s (small network)")
    return tally


def _send(pid: int | None, number: int) -> None:
    assert pid is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
