"""Runtimes: each opens the model of a run as a `Predictor`, and all give the same predictions."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.errors import ModelFileError, RunError
from tenfold.extras import installed
from tenfold.registry import RUNTIMES
from tenfold.run import exports
from tenfold.runtimes.exported import Exported
from tenfold.runtimes.predictor import BATCH as BATCH
from tenfold.runtimes.predictor import Predictor as Predictor

if TYPE_CHECKING:
    from tenfold.run import Run

AUTO = "auto"  # stands for the quickest runtime to start that a run has


def open_predictor(run: Run, runtime: str = "fast") -> Predictor:
    """Open the model of a run with a runtime from `tenfold.registry.RUNTIMES`, or with "auto".

    "auto" is `onnx` if the run keeps an ONNX model of its present model and ONNX Runtime is installed, else `fast`.

    Does not need the data set. Raises RunError if the model is missing or damaged, UnknownNameError (a UsageError) for
    an unknown runtime, MissingExtraError if the runtime is not installed, and UsageError for an invalid TENFOLD_DEVICE
    or TENFOLD_THREADS.
    """
    opened: Predictor | None = _kept(run) if runtime == AUTO else None
    return opened or RUNTIMES.get("fast" if runtime == AUTO else runtime)(run)


def _kept(run: Run) -> Predictor | None:
    """The ONNX model that a run keeps, unless it is damaged or of a former model, as for a moment in a calibration."""
    if run.has(exports.KEPT) and installed("onnxruntime"):
        with contextlib.suppress(ModelFileError, RunError):
            opened: Predictor = RUNTIMES.get("onnx")(run)
            return opened
    return None


def open_export(path: Path) -> Exported:
    """Open an exported model, which needs no run. Raises ModelFileError if it is missing or damaged."""
    if not exports.is_export(path) or not path.exists():
        raise ModelFileError(f"{path}: there is no exported model; expected a path that ends in "
                             f"{' or '.join(exports.RUNTIMES)}, made by `tenfold export`")
    opened: Exported = importlib.import_module(f"tenfold.runtimes.{exports.RUNTIMES[path.suffix]}").open_file(path)
    return opened
