"""The main job in two minutes, offline: three small models on real handwritten digits, compared."""

from __future__ import annotations

from pathlib import Path

from tenfold.progress import Watcher
from tenfold.study import Outcome, conduct

STUDY = "quick"


def demo(runs: Path, watcher: Watcher | None = None) -> Outcome:
    """Train, evaluate and compare the three small models of the study `quick` in `runs`."""
    return conduct(STUDY, runs=runs, watcher=watcher)
