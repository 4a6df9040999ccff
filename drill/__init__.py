"""The reliability drill: real processes killed, real disks filled, real files damaged, and what came of it.

    python -m drill [ROW …] [--count N]

Every row of `docs/reliability.md` is a function here, in the file of its subject; it takes the ground to
work on and how often to try, and returns what it counted. The tests of the drill run the same functions
with small counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drill.training import Ground


@dataclass
class Tally:
    """What a row counted: `good` of `tries`, what went wrong in words, and facts worth telling."""

    tries: int = 0
    good: int = 0
    problems: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    skipped: str = ""

    def add(self, what: str, problem: str | None) -> None:
        """Count one try; `problem` says what went wrong, None that nothing did."""
        self.tries += 1
        if problem is None:
            self.good += 1
        else:
            self.problems.append(f"{what}: {problem}")

    @property
    def met(self) -> bool:
        return not self.skipped and 0 < self.tries == self.good


@dataclass(frozen=True)
class Row:
    """One row of the page: `run(directory, count)` tries it `count` times."""

    title: str
    bar: str
    count: int
    run: Callable[[Ground, int], Tally]


def rows() -> dict[str, Row]:
    """All rows by name, in the order of the page."""
    from drill import damage, disk, downloads, kills, overhead, starts, stops

    return {
        "kill": Row("SIGKILL at random moments of a training", "all resume to the same bits", 20, kills.anywhere),
        "kill-checkpoint": Row("SIGKILL inside the writing of a checkpoint", "all resume to the same bits", 10,
                               kills.within_checkpoints),
        "kill-repeatedly": Row("SIGKILL again and again until one run is finished", "the same bits", 3,
                               kills.repeatedly),
        "stop": Row("Ctrl-C and SIGTERM at random moments, some of them twice",
                    "exit code 130 within 5 s, all resume to the same bits", 10, stops.anywhere),
        "damage": Row("the newest checkpoint's files truncated (half) and one bit of them flipped (half)",
                      "all noticed, the checkpoint before used", 100, damage.newest_checkpoint),
        "disk-full": Row("the disk gets full (a small tmpfs)",
                         "exit code 3, one line, no stray file, the checkpoint before loads, resumes to the same bits",
                         20, disk.full),
        "starts": Row("simultaneous starts with one name, and a reader",
                      "as many complete runs, no error for anyone", 32, starts.simultaneous),
        "downloads": Row("a download cut off or killed on the way, wrong bytes, a server that stalls",
                         "recovered, or one line; no wrong file accepted", 20, downloads.cut),
        "overhead": Row("the share of checkpoints in the training time of `cifar-cnn`", "at most 1 %", 1,
                        overhead.of_checkpoints),
    }
