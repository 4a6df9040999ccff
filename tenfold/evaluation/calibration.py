"""Temperature scaling: one number that makes probabilities as confident as they are right (Guo et al. 2017)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tenfold.errors import RunError
from tenfold.evaluation.predictions import read_predictions
from tenfold.evaluation.scores import score
from tenfold.registry import METRICS
from tenfold.run import Run

COLDEST, HOTTEST = 0.05, 20.0
SMALLEST = 1e-30  # the logarithm of a probability of zero is taken of this


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature, 0.05 to 20, at which the loss is least: labels int64 [n], probabilities [n, k].

    Above 1 the model is too confident, below 1 too hesitant.
    """
    from scipy.optimize import minimize_scalar

    logarithms = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))
    given = logarithms[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        sharpness = math.exp(-log_temperature)
        scaled = sharpness * (logarithms - logarithms.max(axis=1, keepdims=True))
        norm = np.log(np.exp(scaled).sum(axis=1)) + sharpness * logarithms.max(axis=1)
        return float((norm - sharpness * given).mean())

    bounds = (math.log(COLDEST), math.log(HOTTEST))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities [n, k] with their logits divided by the temperature, in float64."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def calibrate(run: Run) -> dict[str, Any]:
    """Fit the temperature on the run's validation predictions; score validation and test before and after.

    Writes and returns `calibration.json`: "temperature", "fitted_on", "before" and "after" (split →
    metric → {"value", "low", "high"}). The model stays as it is. Raises RunError without validation predictions.
    """
    if not run.has("predictions/validation.parquet"):
        raise RunError(f"{run.path}: has no predictions of a validation split to fit a temperature on; "
                       "train with data.validation=0.1, say")
    labels, probabilities = read_predictions(run, "validation")
    if not np.isfinite(probabilities).all():
        raise RunError(f"{run.path}: its validation probabilities are not all finite; no temperature fits them")
    temperature = fit_temperature(labels, probabilities)
    before, after = {}, {}
    for split in ("validation", "test"):
        if run.has(f"predictions/{split}.parquet"):
            labels, probabilities = read_predictions(run, split)
            scaled = at_temperature(probabilities, temperature).astype(probabilities.dtype)  # clipped alike
            before[split], after[split] = (_metrics(labels, p, run.classes()) for p in (probabilities, scaled))
    result = {"temperature": temperature, "fitted_on": "validation", "before": before, "after": after}
    run.write_json("calibration.json", result)
    return result


def _metrics(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    scored = score(labels, probabilities, classes)
    return {name: scored[name] for name in METRICS.names()}
