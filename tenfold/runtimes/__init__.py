"""Runtimes: what predicts. Each opens a run's model as a `Predictor`; all give the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold import machine
from tenfold.registry import RUNTIMES
from tenfold.runtimes.predictor import BATCH as BATCH
from tenfold.runtimes.predictor import Predictor as Predictor

if TYPE_CHECKING:
    from tenfold.run import Run


def open_predictor(run: Run, runtime: str = "fast") -> Predictor:
    """The model of a run, opened by a runtime; `tenfold.registry.RUNTIMES` names them. Sets the process up for it.

    Needs `model.keras` and nothing else: neither the data set nor, but for speed, the recipe. Raises RunError if
    there is no model or it is damaged, UnknownNameError (a UsageError) for a runtime that does not exist, UsageError
    for a TENFOLD_DEVICE or TENFOLD_THREADS that can't be used.
    """
    machine.configure("float32")
    opened: Predictor = RUNTIMES.get(runtime)(run)
    return opened
