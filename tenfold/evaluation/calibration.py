"""Fits the temperature of a run, and scores its probabilities before and after."""

from __future__ import annotations

from typing import Any

from tenfold.decisions.temperature import at_temperature, fit_temperature
from tenfold.errors import RunError
from tenfold.evaluation.predictions import read_finite, read_predictions
from tenfold.evaluation.scores import entries
from tenfold.run import Run

NAMES = ("loss", "accuracy", "brier", "ece")  # the metrics that a temperature changes, and one that it does not


def calibrate(run: Run) -> dict[str, Any]:
    """Fit the temperature on the run's validation predictions; score validation and test before and after.

    Writes and returns `calibration.json`: "temperature", "fitted_on", "before" and "after" (split →
    metric → {"value", "low", "high"}). Does not change the model. Raises RunError without validation predictions.
    """
    if not run.has("predictions/validation.parquet"):
        raise RunError(f"{run.path}: the run has no validation predictions; expected some to fit a temperature; "
                       "train with a validation split, for example --set data.validation=0.1")
    labels, probabilities = read_finite(run, "validation")
    temperature = fit_temperature(labels, probabilities)
    before, after = {}, {}
    scored = run.metrics() if run.has("metrics.json") else {}
    for split in ("validation", "test"):
        if run.has(f"predictions/{split}.parquet"):
            labels, probabilities = read_predictions(run, split)
            # The same dtype, so that the loss clips both alike.
            scaled = at_temperature(probabilities, temperature).astype(probabilities.dtype)
            known = scored.get(split)
            before[split] = {name: known[name] for name in NAMES} if known else entries(labels, probabilities, NAMES)
            after[split] = entries(labels, scaled, NAMES)
    result = {"temperature": temperature, "fitted_on": "validation", "before": before, "after": after}
    run.write_json("calibration.json", result)
    return result
