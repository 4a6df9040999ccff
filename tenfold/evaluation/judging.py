"""Judges decision rules on images that had no part in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.decisions import abstention, conformal
from tenfold.decisions.crossconformal import CrossSets
from tenfold.decisions.rules import Decision, Rules
from tenfold.decisions.unknowns import Evidence
from tenfold.evaluation.statistics import Fraction, bootstrap, wilson
from tenfold.evaluation.weighted import Predictions, Weighted, quotient, running

POINTS = 100  # of the curve
EXAMPLES = 12  # images of each decision that are not accepted
RESAMPLES = 1000


def judge(rules: Rules, test: Evidence, numbers: np.ndarray) -> dict[str, Any]:
    """How the rules do on n > 0 test images, as `record.Tested` describes; numbers: their places in the split."""
    p, labels = rules.probabilities(test.logits), test.labels
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == labels
    decisions = np.array([each.value for each in rules.decide(p, test.logits, test.features, test.statistics)])
    accepted, unknown = decisions == Decision.ACCEPTED, decisions == Decision.UNKNOWN
    return {
        "images": len(labels), "accuracy": proportion(correct), "sets": _sets(rules, p, test),
        "curve": curve(confidence, correct), "area": area(Predictions(labels, p)),
        "accepted": proportion(accepted),
        "accepted_accuracy": proportion(correct[accepted]) if accepted.any() else None,
        "unknown": None if rules.unknowns is None else proportion(unknown),
        "examples": _examples(rules, test, decisions, confidence, numbers),
    }


def proportion(right: np.ndarray) -> dict[str, float]:
    """The fraction of bool [n], n > 0, with its Wilson interval."""
    low, high = wilson(int(right.sum()), len(right))
    return {"value": float(right.mean()), "low": low, "high": high}


def curve(confidence: np.ndarray, correct: np.ndarray) -> dict[str, list[float]]:
    """The accuracy and its Wilson interval at up to 100 fractions answered."""
    whole = abstention.curve(confidence, correct)
    chosen = np.unique(np.linspace(0, len(whole.fraction) - 1, POINTS).astype(np.int64))
    answered = np.round(whole.fraction[chosen] * len(confidence)).astype(int)
    right = np.round(whole.accuracy[chosen] * answered).astype(int)
    intervals = [wilson(*pair) for pair in zip(right.tolist(), answered.tolist(), strict=True)]
    return {"fraction": whole.fraction[chosen].tolist(), "accuracy": whole.accuracy[chosen].tolist(),
            "low": [low for low, _ in intervals], "high": [high for _, high in intervals]}


def area(predictions: Predictions) -> dict[str, float | None]:
    """The area under the risk–coverage curve with its score interval; lower is better."""
    spread, = bootstrap(predictions, [mean_risk], RESAMPLES)
    value = float(mean_risk(Weighted.evenly(predictions))[0])
    count, errors = len(predictions.labels), int((~predictions.correct).sum())
    low, high = Fraction(value, count, min(errors, count - errors)).interval(spread) or (None, None)
    return {"value": value, "low": low, "high": high}


def mean_risk(x: Weighted) -> np.ndarray:
    """The area under the risk–coverage curve, the mean error rate over all fractions answered: [b].

    Images with the same confidence are answered together (Geifman et al. 2019).
    """
    confidence = x.predictions.probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    falls = -confidence[order]
    together = np.searchsorted(falls, falls, side="right") - 1  # the last place of the same confidence
    answered = x.weights[order]
    wrong = running(answered * ~x.predictions.correct[order][:, np.newaxis])
    risk = wrong / np.maximum(running(answered), np.finfo(answered.dtype).tiny)
    return quotient(np.einsum("nb,nb->b", answered, risk[together]), x.total)


def _sets(rules: Rules, p: np.ndarray, test: Evidence) -> list[dict[str, Any]]:
    """How the shown sets of each rule do, with the common threshold and with those by class."""
    rows = []
    for rule in rules.sets:
        rows.append(_row(rule, False, rules.shown(rule, p, test.features), test.labels))
        if isinstance(rule, conformal.Sets) and rule.guaranteed.any():
            rows.append(_row(rule, True, rule.shown(p, by_class=True), test.labels))
    return rows


def _row(rule: conformal.Sets | CrossSets, by_class: bool, chosen: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """How sets did: which classes they hold is bool [n, k]."""
    covered = chosen[np.arange(len(labels)), labels]
    return {"level": rule.level, "method": rule.method, "by_class": by_class, "coverage": proportion(covered),
            "size": conformal.coverage(chosen, labels)[1],
            "lowest": min(float(covered[labels == label].mean()) for label in np.unique(labels))}


def _examples(rules: Rules, test: Evidence, decisions: np.ndarray, confidence: np.ndarray,
              numbers: np.ndarray) -> list[dict[str, Any]]:
    """The least sure images, and those most unlike the classes."""
    strange = confidence if rules.unknowns is None else -rules.unknowns.scores(
        test.logits, test.features, test.statistics)
    rows = []
    for decision, order in ((Decision.UNSURE, confidence), (Decision.UNKNOWN, strange)):
        chosen = np.flatnonzero(decisions == decision)
        chosen = chosen[np.argsort(order[chosen], kind="stable")][:EXAMPLES]
        rows += [{"index": int(numbers[i]), "decision": decision.value} for i in chosen]
    return rows
