"""Abstention: answers only the images of which the model is surest, so that the answers are as accurate as asked.

The threshold comes with a guarantee for finite samples: with probability 95 % over the calibration images, the accuracy
of the answers to further images of the same kind is at least the one asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.counted import counted

CERTAINTY = 0.95  # probability over the calibration images that the guarantee holds
WORTHWHILE = 0.5  # a lower accuracy of accepted answers is not worth asking for
PARTS = 5  # thresholds that are tested between two at which one more error is allowed, the first of these included


@dataclass(frozen=True)
class Curve:
    """Accuracy against the fraction answered, as the threshold falls: float64 [m] each, one for each confidence.

    Images with the same confidence are answered together.
    """

    fraction: np.ndarray
    accuracy: np.ndarray


def curve(confidence: np.ndarray, correct: np.ndarray) -> Curve:
    """The risk–coverage curve (El-Yaniv & Wiener 2010) of n > 0 images; confidence: float [n], correct: bool [n]."""
    order, ends = _ordered(confidence)
    answered = ends + 1
    return Curve(answered / len(order), np.cumsum(correct[order])[ends] / answered)


def _ordered(confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(order of the images by falling confidence, last place in it of each group of ties)."""
    order = np.argsort(-confidence, kind="stable")
    falls = confidence[order]
    return order, np.flatnonzero(np.append(falls[1:] != falls[:-1], True))


@dataclass(frozen=True)
class Accepting:
    """The rule that accepts answers: those whose confidence is above the threshold.

    accuracy: what the accepted answers are guaranteed to reach; threshold: None if the images can't support it; images,
    answered, wrong: those of the calibration; needed: the fewest accepted images that could support it; supported: the
    highest accuracy that the images do support, if they can't support this one, as `highest` gives it.
    """

    accuracy: float
    threshold: float | None
    images: int
    answered: int
    wrong: int
    needed: int
    supported: float | None = None


def fewest(accuracy: float) -> int:
    """How many accepted images without any error support an accuracy: 299 for 99 %, 29 for 90 %."""
    return math.ceil(round(math.log(1 - CERTAINTY) / math.log(accuracy), 9))


def refusal(rule: Mapping[str, Any], run: str = "RUN") -> str:
    """Why a rule accepts no answer, and what to ask for; rule: an `Accepting` as a mapping; run: in commands."""
    images, more, supported = rule["images"], rule["needed"] - rule["images"], rule.get("supported")
    missing = f" (it needs at least {more:,} more)" if more > 0 else ""
    asked = f"{100 * rule['accuracy']:g} %{missing}"
    can_not = f"{counted(images, 'calibration image')} can't support an accuracy of {asked}"
    if supported is not None and supported < WORTHWHILE:
        return f"{can_not}, nor one of {100 * WORTHWHILE:g} %"
    if supported is None:  # a rule of an earlier version
        return f"{can_not}; `tenfold calibrate {run} --accuracy` fits a lower one"
    return f"{can_not}; they support {100 * supported:g} %: `tenfold calibrate {run} --accuracy {supported:g}`"


def fit(confidence: np.ndarray, correct: np.ndarray, accuracy: float) -> Accepting:
    """The threshold that answers the most images with a guaranteed accuracy, 0 < `accuracy` < 1.

    confidence: float [n], the calibrated probability of each predicted class; correct: bool [n]; n may be 0.

    Each threshold is one of the confidences. Given it, the images above it are independent draws, so the exact binomial
    test of their errors (Clopper & Pearson 1934) decides whether they are accurate enough. The thresholds are tested in
    a fixed sequence, each at the full level, until the first failure (Angelopoulos et al. 2021, "Learn then test",
    section 4). The sequence begins with the test that has the widest margin if the confidences are true, in standard
    deviations of the number of errors, and goes on to more and more images: it depends on the confidences alone, never
    on which answers are correct.
    """
    found, count = _fitted(confidence, correct, accuracy), len(confidence)
    if found is None:
        return Accepting(accuracy, None, count, 0, 0, fewest(accuracy), highest(confidence, correct))
    return Accepting(accuracy, found[0], count, *found[1:], fewest(accuracy))


def highest(confidence: np.ndarray, correct: np.ndarray) -> float:
    """The highest accuracy, in whole thousandths, for which `fit` finds a threshold; 0 if there is none."""
    from scipy.special import betaincinv  # quantiles of the beta distribution

    if not len(confidence):
        return 0.0
    order, ends = _ordered(confidence)
    right = np.cumsum(correct[order])[ends]
    # no sequence of tests can pass beyond the best of the bounds of Clopper and Pearson
    bounds = betaincinv(np.maximum(right, 1), ends + 2 - right, 1 - CERTAINTY)[right > 0]
    best = min(math.floor(1000 * bounds.max(initial=0)), 999)
    return next((asked / 1000 for asked in range(best, 0, -1) if _fitted(confidence, correct, asked / 1000)), 0.0)


def _fitted(confidence: np.ndarray, correct: np.ndarray, accuracy: float) -> tuple[float, int, int] | None:
    """(threshold, images above it, wrong ones among them), as `fit` describes; None if the images support none."""
    order, _ = _ordered(confidence)
    falls, count = confidence[order].astype(np.float64), len(confidence)
    errors = allowed_errors(count, accuracy)
    counts, thresholds = _candidates(falls, errors)
    allowed = errors[counts]
    wrong = np.concatenate([[0], np.cumsum(~correct[order])])[counts].astype(np.int64)
    expected = np.concatenate([[0.0], np.cumsum(1 - falls)])[counts]
    margin = np.where(allowed >= 0, (allowed - expected) / np.sqrt(expected + 1), -np.inf)
    chosen = None
    start = int(margin.argmax()) if (allowed >= 0).any() else len(counts)
    for i in range(start, len(counts)):
        if wrong[i] > allowed[i]:
            break
        chosen = i
    return None if chosen is None else (float(thresholds[chosen]), int(counts[chosen]), int(wrong[chosen]))


def allowed_errors(count: int, accuracy: float) -> np.ndarray:
    """How many errors among 0, 1, …, `count` accepted images still prove the accuracy; -1: not even none prove it."""
    from scipy.special import bdtr  # the binomial distribution function; importing scipy.stats takes long

    accepted = np.arange(count + 1)
    proves, many = np.full(count + 1, -1), accepted
    while (many - proves > 1).any():
        between = np.maximum((proves + many) // 2, 0)
        rare = bdtr(between, accepted, 1 - accuracy) <= 1 - CERTAINTY
        proves, many = np.where(rare, between, proves), np.where(rare, many, between)
    return proves


def _candidates(falls: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(images above each threshold int64 [m], ascending, at least one; thresholds float64 [m], 0 accepts all).

    allowed: from `allowed_errors`. A threshold is tested where it has just enough images for one more error, because
    there the test passes most easily; and a few times between, at even distances.
    """
    count = len(falls)
    just = np.unique(np.append(np.searchsorted(allowed, np.arange(allowed.max() + 1)), count))
    between = just[:-1, None] + np.diff(just)[:, None] * np.arange(PARTS) // PARTS
    places = np.unique(np.append(between, count))
    limits = np.append(falls, 0.0)[places[places > 0]]
    thresholds = np.unique(limits)[::-1]
    above = np.searchsorted(-falls, -thresholds, side="left")  # strictly above
    return above[above > 0], thresholds[above > 0]
