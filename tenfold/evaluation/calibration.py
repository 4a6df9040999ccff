"""Temperature scaling: divides the logits by one number so that confidence matches accuracy (Guo et al. 2017)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tenfold.errors import RunError
from tenfold.evaluation.predictions import read_predictions
from tenfold.evaluation.scores import score
from tenfold.registry import METRICS
from tenfold.run import Run

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
SMALLEST_PROBABILITY = 1e-30  # replaces a probability of 0 before taking the logarithm


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature, 0.05 to 20, that minimises the loss; labels: int64 [n], probabilities: float [n, k].

    Above 1, the model was too confident; below 1, not confident enough.
    """
    from scipy.optimize import minimize_scalar

    logarithms = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    of_true_class = logarithms[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        sharpness = math.exp(-log_temperature)
        scaled = sharpness * (logarithms - logarithms.max(axis=1, keepdims=True))
        norm = np.log(np.exp(scaled).sum(axis=1)) + sharpness * logarithms.max(axis=1)
        return float((norm - sharpness * of_true_class).mean())

    bounds = (math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities [n, k] after dividing the logits by the temperature, in float64."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def calibrate(run: Run) -> dict[str, Any]:
    """Fit the temperature on the run's validation predictions; score validation and test before and after.

    Writes and returns `calibration.json`: "temperature", "fitted_on", "before" and "after" (split →
    metric → {"value", "low", "high"}). Does not change the model. Raises RunError without validation predictions.
    """
    if not run.has("predictions/validation.parquet"):
        raise RunError(f"{run.path}: the run has no validation predictions; expected some to fit a temperature; "
                       "train with a validation split, for example --set data.validation=0.1")
    labels, probabilities = read_predictions(run, "validation")
    if not np.isfinite(probabilities).all():
        raise RunError(f"{run.path}: some validation probabilities are NaN or infinite; expected finite ones; train "
                       "again with a lower learning rate")
    temperature = fit_temperature(labels, probabilities)
    before, after = {}, {}
    for split in ("validation", "test"):
        if run.has(f"predictions/{split}.parquet"):
            labels, probabilities = read_predictions(run, split)
            # The same dtype, so that the loss clips both alike.
            scaled = at_temperature(probabilities, temperature).astype(probabilities.dtype)
            before[split], after[split] = (_metrics(labels, p, run.classes()) for p in (probabilities, scaled))
    result = {"temperature": temperature, "fitted_on": "validation", "before": before, "after": after}
    run.write_json("calibration.json", result)
    return result


def _metrics(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    scored = score(labels, probabilities, classes)
    return {name: scored[name] for name in METRICS.names()}
