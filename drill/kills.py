"""SIGKILL at any moment, while checkpoints are written, and repeatedly."""

from __future__ import annotations

import random
import signal
import time

from drill import Tally
from drill.training import Ground, begun, finished, goes_on, operations, words
from drill.victim import Fault, Kill, ended, start
from tenfold.run import Run


def anywhere(ground: Ground, count: int) -> Tally:
    """Kill `count` trainings, each at a random moment between its first file and its end."""
    whole, draw, tally = ground.whole, random.Random(0), Tally()
    late = 0
    while tally.tries < count:
        place = ground.place(f"kill-{tally.tries + late}")
        process = start(words(place), place / "log")
        begun(place)
        moment = draw.uniform(0, whole.seconds)
        time.sleep(moment)
        process.kill()
        if ended(process) != -signal.SIGKILL:
            late += 1  # it was done already
            continue
        tally.add(f"killed after {moment:.3f} s", goes_on(place, whole.content))
    tally.facts.append(f"the training takes {whole.seconds:.1f} s, from its first file to its report")
    return tally


def within_checkpoints(ground: Ground, count: int) -> Tally:
    """Kill `count` trainings, each before another file operation among those that write checkpoints."""
    whole, tally = ground.whole, Tally()
    total = operations(ground.place("operations-of-checkpoints"), Fault("/checkpoints/", 0))
    for i, at in enumerate(random.Random(1).sample(range(1, total + 1), count)):
        place = ground.place(f"kill-checkpoint-{i}")
        process = start(words(place), place / "log", Fault("/checkpoints/", at, Kill()))
        code = ended(process)
        problem = goes_on(place, whole.content) if code == -signal.SIGKILL else f"exit code {code}"
        tally.add(f"killed before operation {at}", problem)
    tally.facts.append(f"killed before a file is opened, renamed or removed; drawn from {total} such operations of one "
                       "training")
    return tally


def repeatedly(ground: Ground, count: int) -> Tally:
    """Kill one training at random moments until it is finished; `count` trainings."""
    whole, draw, tally = ground.whole, random.Random(2), Tally()
    for i in range(count):
        place, kills = ground.place(f"kill-repeatedly-{i}"), 0
        while kills < 100:
            process = start(words(place, "--resume"), place / "log")
            time.sleep(draw.uniform(0, min(kills + 1, 10) / 8 * whole.seconds))  # ever longer, so that it ends
            process.kill()
            kills += ended(process) == -signal.SIGKILL
            if any(finished(run) for run in Run.list(place / "runs")):
                break
        tally.add(f"killed {kills} times", goes_on(place, whole.content))
        tally.facts.append(f"finished after {kills} kills")
    return tally
