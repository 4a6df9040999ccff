"""The reliability drill: kill real processes, fill real disks, damage real files, and check the results.

    python -m drill [TEST …] [--count N]

Every row of `docs/reliability.md` is a function in a file of this package. It takes the ground to work on and
the number of tries, and returns a tally. The tests of the drill run the same functions with small counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drill.training import Ground


@dataclass
class Tally:
    """The result of a row: `good` of `tries`, problems as sentences, and facts for the page."""

    tries: int = 0
    good: int = 0
    problems: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    skipped: str = ""

    def add(self, what: str, problem: str | None) -> None:
        """Count one try; `problem` says what went wrong, None means nothing did."""
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
    target: str
    count: int
    run: Callable[[Ground, int], Tally]


def rows() -> dict[str, Row]:
    """All rows by name, in the order of the page."""
    from drill import cluster, damage, disk, downloads, kills, overhead, searches, starts, stops

    return {
        "kill": Row("SIGKILL at random moments of a training", "all resume bit for bit", 20, kills.anywhere),
        "kill-checkpoint": Row("SIGKILL while a checkpoint is written", "all resume bit for bit", 10,
                               kills.within_checkpoints),
        "kill-repeatedly": Row("repeated SIGKILL until a run finishes", "all resume bit for bit", 3,
                               kills.repeatedly),
        "stop": Row("Ctrl-C and SIGTERM at random moments, some of them twice",
                    "exit code 130 within 5 s, all resume bit for bit", 10, stops.anywhere),
        "damage": Row("a file of the newest checkpoint is truncated, or one bit of it is flipped (half each)",
                      "all damage detected, the previous checkpoint used", 100, damage.newest_checkpoint),
        "disk-full": Row("the disk fills up (a small tmpfs)",
                         "exit code 3, one line, no leftover file, the previous checkpoint loads, all resume bit for "
                         "bit",
                         20, disk.full),
        "starts": Row("simultaneous starts under one name, with a reader",
                      "one complete run per start, no errors", 32, starts.simultaneous),
        "downloads": Row("interrupted or killed downloads, wrong bytes, a server that stalls",
                         "recovered or stopped with one line; no wrong file accepted", 20, downloads.cut),
        "search-kill": Row("SIGKILL of a search at random moments, 3 trials for each kill",
                           "no trial lost or doubled, the same trials and best as without kills", 10, searches.killed),
        "search-processes": Row("a search by 8 processes on one journal, two of them paused for a minute",
                                "no trial lost or doubled, no errors", 200, searches.together),
        "search-cluster": Row("SIGKILL of the worker process of a search on Ray, 3 trials for each kill",
                              "no trial lost or doubled, the same trials and best as without kills", 3,
                              cluster.worker_killed),
        "overhead": Row("the fraction of `cifar-cnn`'s training time that goes into checkpoints", "at most 1 %", 1,
                        overhead.of_checkpoints),
    }
