"""Temperature scaling: divides the logits by one number so that confidence matches accuracy (Guo et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
SPREAD = 0.5  # standard deviation of the logarithm of the temperature, before any image was seen
PRECISION = 1e-7  # of the logarithm of the temperature
SMALLEST_PROBABILITY = 1e-30  # replaces a probability of 0 before taking the logarithm


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature, 0.05 to 20, that minimises the cross-entropy minus the log prior; labels: int64 [n],
    probabilities: float [n, k].

    Above 1, the model was too confident; below 1, not confident enough. Few images without an error would ask for the
    lowest one. Therefore the logarithm of the temperature has a normal prior with mean 0 and a standard deviation of
    0.5, which a few hundred images outweigh. 1 without images.
    """
    if not len(labels):
        return 1.0
    logarithms = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    of_true_class = float(logarithms[np.arange(len(labels)), labels].mean())
    low, high = math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)
    while high - low > PRECISION:
        middle = (low + high) / 2
        temperature = math.exp(middle)
        expected = float((calibrated(logarithms, temperature) * logarithms).sum(axis=1).mean())
        slope = (of_true_class - expected) / temperature + middle / (len(labels) * SPREAD**2)  # by the logarithm
        low, high = (low, middle) if slope > 0 else (middle, high)
    return math.exp((low + high) / 2)


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities [n, k] after dividing the logits by the temperature, in float64."""
    return calibrated(np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY)), temperature)


def as_predicted(probabilities: np.ndarray, decisions: Mapping[str, Any]) -> np.ndarray:
    """The probabilities [n, k] as `tenfold predict` gives them: calibrated if there are decision rules."""
    return at_temperature(probabilities, decisions["temperature"]) if decisions else probabilities


def calibrated(logits: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities of logits [n, k] after dividing them by the temperature, in float64."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
