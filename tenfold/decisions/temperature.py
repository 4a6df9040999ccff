"""Temperature scaling: divides the logits by one number so that confidence matches accuracy (Guo et al. 2017)."""

from __future__ import annotations

import math

import numpy as np

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
    return calibrated(np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY)), temperature)


def calibrated(logits: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities of logits [n, k] after dividing them by the temperature, in float64."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
