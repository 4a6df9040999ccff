"""The accuracy of a model on images without labels, from how sure it is, with an interval from its errors elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tenfold.counted import are, counted

BATCH, MOST_BATCHES = 500, 6  # images that are matched together; batches of which the mean is taken
FLOOR = 0.03  # added to the loss of accuracy to which an error is compared
LEVEL = 0.9  # of the known changes whose error the interval covers
NORMAL = 1.96  # standard deviations on each side
FEW = 20  # images without labels, below which there is no estimate
WIDEST = 0.3  # interval that still tells something


@dataclass(frozen=True)
class Changed:
    """Labelled images after a known change.

    accuracy: the model's true accuracy on them; probabilities: float [m, k]; new: the fraction of them that looks new.
    """

    kind: str
    accuracy: float
    probabilities: np.ndarray
    new: float


@dataclass(frozen=True)
class Estimate:
    """An accuracy without labels with its interval, the loss it means, and reasons for not trusting it."""

    value: float
    low: float
    high: float
    loss: float
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; without accuracy and interval, if there are reasons for not trusting them."""
        hidden = dict.fromkeys(("value", "low", "high")) if self.reasons else {}
        return {**asdict(self), **hidden, "reasons": list(self.reasons), "tells": not self.reasons}


def estimate(labels: np.ndarray, known: np.ndarray, unlabelled: np.ndarray, changed: Sequence[Changed], new: float,
             shares_changed: bool) -> Estimate:
    """Estimate the accuracy on images without labels.

    labels: int64 [n] and known: calibrated probabilities float [n, k] of the reference; unlabelled: those of the other
    images, float [m, k]; changed: the model on reference images after known changes; new: the fraction of the other
    images that looks new; shares_changed: whether classes seem to have changed their shares.

    The estimate is the accuracy on the reference, plus the change of `match` (Lu et al. 2023, "Characterizing
    out-of-distribution error via optimal transport"). The known changes tell how far that is off: their errors relative
    to the estimated loss of accuracy give the interval, together with the sampling error. If classes changed their
    shares, the upper end is at least the estimate that allows it: that of `difference_of_confidences`.
    """
    right = known.argmax(axis=1) == labels
    accuracy, shares = float(right.mean()), np.bincount(labels, minlength=known.shape[1]) / len(labels)
    batch = min(BATCH, len(known), len(unlabelled), *(len(each.probabilities) for each in changed))
    base = match(known, shares, batch)
    value = accuracy + match(unlabelled, shares, batch) - base
    losses = [base - match(each.probabilities, shares, batch) for each in changed]
    errors = [abs(accuracy - loss - each.accuracy) / (max(loss, 0) + FLOOR)
              for loss, each in zip(losses, changed, strict=True)]
    loss = accuracy - value
    value = min(max(value, 0.0), 1.0)
    spread = max(value * (1 - value), FLOOR * (1 - FLOOR))
    sampling = NORMAL * math.sqrt(spread * (1 / matched(len(unlabelled), batch) + 1 / len(labels)))
    half = math.hypot(float(np.quantile(errors, LEVEL)) * (max(loss, 0) + FLOOR), sampling)
    low, high = max(value - half, 0.0), min(value + half, 1.0)
    if shares_changed:
        high = min(max(high, difference_of_confidences(right, known, unlabelled)), 1.0)
    reasons = []
    if len(unlabelled) < FEW:
        reasons.append(f"there {are(len(unlabelled))} only {counted(len(unlabelled), 'image')}; expected at "
                       f"least {FEW}")
    if loss > max(losses) + FLOOR or new > max(each.new for each in changed) + FLOOR:
        reasons.append("the images are less like those of the reference than after any of the known changes on which "
                       "the method was checked")
    if high - low > WIDEST:
        reasons.append(f"the interval would go from {100 * low:.0f} to {100 * high:.0f} %")
    return Estimate(value, low, high, loss, tuple(reasons))


def match(probabilities: np.ndarray, shares: np.ndarray, batch: int) -> float:
    """The mean probability of the classes that images get if these have their shares and it is as high as possible.

    probabilities: float [n, k]; shares: float [k]. A model that sees one class everywhere is sure of itself, but this
    gives it no credit. Images are matched in batches of the same size, because smaller ones are harder to match.
    """
    from scipy.optimize import linear_sum_assignment

    counts = np.floor(shares * batch).astype(np.int64)
    counts[np.argsort(counts - shares * batch, kind="stable")[: batch - counts.sum()]] += 1
    classes = np.repeat(np.arange(len(shares)), counts)
    order = np.random.default_rng(0).permutation(len(probabilities))
    values = []
    for number in range(matched(len(order), batch) // batch):
        table = probabilities[order[number * batch : (number + 1) * batch]][:, classes]
        values.append(table[linear_sum_assignment(table, maximize=True)].mean())
    return float(np.mean(values))


def matched(count: int, batch: int) -> int:
    """How many of `count` images are matched: whole batches, and not more of them than needed for a steady mean."""
    return batch * min(count // batch, MOST_BATCHES)


def difference_of_confidences(right: np.ndarray, known: np.ndarray, unlabelled: np.ndarray) -> float:
    """The known accuracy, plus the change of the mean confidence (Guillory et al. 2021).

    right: bool [n], whether the model is right on each known image; known: float [n, k], unlabelled: float [m, k].
    """
    return float(right.mean() + unlabelled.max(axis=1).mean() - known.max(axis=1).mean())
