"""The temperature of a run: the one fitted earlier, or one fitted now on its validation predictions."""

from __future__ import annotations

import numpy as np

from tenfold.decisions.temperature import fit_temperature
from tenfold.evaluation.predictions import read_predictions
from tenfold.run import Run


def temperature_of(run: Run) -> float:
    """The temperature by which the logits of a run's model are divided; 1 without validation predictions.

    Raises RunError if its predictions or `calibration.json` are damaged.
    """
    if run.has("calibration.json"):
        return float(run.calibration()["temperature"])
    if not run.has("predictions/validation.parquet"):
        return 1.0
    labels, probabilities = read_predictions(run, "validation")
    return fit_temperature(labels, probabilities) if len(labels) and np.isfinite(probabilities).all() else 1.0
