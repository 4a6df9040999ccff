"""The demonstration: train and compare three small models on handwritten digits, in two minutes and offline."""

from __future__ import annotations

from pathlib import Path

from tenfold.progress import Watcher
from tenfold.study import Outcome, conduct

STUDY = "quick"


def demo(runs: Path, watcher: Watcher | None = None) -> Outcome:
    """Train, evaluate and compare the models of the study `quick`; its directory goes into `runs`."""
    return conduct(STUDY, runs=runs, watcher=watcher)
