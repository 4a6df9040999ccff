"""Runtimes: each opens the model of a run as a `Predictor`, and all give the same predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold import machine
from tenfold.registry import RUNTIMES
from tenfold.runtimes.predictor import BATCH as BATCH
from tenfold.runtimes.predictor import Predictor as Predictor

if TYPE_CHECKING:
    from tenfold.run import Run


def open_predictor(run: Run, runtime: str = "fast") -> Predictor:
    """Open the model of a run with a runtime from `tenfold.registry.RUNTIMES`, and configure the process for it.

    Needs only `model.keras`, not the data set; the recipe, if present, makes it faster. Raises RunError if the model is
    missing or damaged, UnknownNameError (a UsageError) for an unknown runtime, and UsageError for an invalid
    TENFOLD_DEVICE or TENFOLD_THREADS.
    """
    machine.configure("float32")
    opened: Predictor = RUNTIMES.get(runtime)(run)
    return opened
