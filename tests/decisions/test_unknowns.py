"""Scores for unknown images find them, take little space, and are chosen on left-out classes alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score

from tenfold.decisions import choosing
from tenfold.decisions.packed import pack, unpack
from tenfold.decisions.record import UnknownRule
from tenfold.decisions.unknowns import LOGIT_SCORES, SCORES, Evidence, Unknowns, principal

MEANS = 4 * np.eye(6, 20)


def images(labels: np.ndarray, seed: int, classes: int = 5) -> Evidence:
    """Features around the mean of their class, and logits that know the first classes."""
    features = (MEANS[labels] + np.random.default_rng(seed).normal(size=(len(labels), 20))).astype(np.float32)
    return Evidence(2 * features[:, :classes], features, labels)


TRAIN, HELD = images(np.arange(500) % 5, 0), images(np.arange(200) % 5, 1)
UNKNOWN = images(np.full(100, 5), 2)
SPACE = principal(TRAIN.features)


@pytest.mark.parametrize("name", list(SCORES))
def test_every_score_is_higher_for_unknown_images(name):
    score = SCORES[name]
    arrays = score.fit(TRAIN, SPACE)
    known, unknown = (score.score(arrays, each.logits, each.features) for each in (HELD, UNKNOWN))
    assert (known.shape, known.dtype) == ((200,), np.float64)
    found = choosing.area(known, unknown)
    assert found > 0.75
    assert found == pytest.approx(roc_auc_score(np.arange(300) >= 200, np.concatenate([known, unknown])))


def test_the_distance_is_mahalanobis(rng):
    train = Evidence(np.zeros((400, 2)), rng.normal(size=(400, 3)) @ rng.normal(size=(3, 3)), np.arange(400) % 2)
    means = [train.features[train.labels == label].mean(axis=0) for label in (0, 1)]
    within = train.features - np.stack(means)[train.labels]
    inverse = np.linalg.inv(within.T @ within / 400)
    points = rng.normal(size=(5, 3))
    expected = [min(mahalanobis(point, mean, inverse) ** 2 for mean in means) for point in points]
    score = SCORES["mahalanobis"]
    found = score.score(score.fit(train, principal(train.features)), np.zeros((5, 2)), points)
    assert found == pytest.approx(expected, rel=0.1)  # the covariance is shrunk a little


@pytest.mark.parametrize("name", list(SCORES))
def test_a_rule_comes_back_from_json_with_the_same_answers(name):
    arrays = SCORES[name].fit(TRAIN, SPACE)
    scores = SCORES[name].score(arrays, HELD.logits, HELD.features)
    rule = Unknowns(name, arrays, float(np.quantile(scores, 0.95)), 0.05, {name: 0.9})
    again = Unknowns.read(UnknownRule.model_validate(json.loads(json.dumps(rule.to_dict()))), 20)
    np.testing.assert_allclose(again.scores(HELD.logits, HELD.features, None), scores, rtol=0.01, atol=0.02)
    assert again.found(HELD.logits, HELD.features, None).mean() == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("name", [name for name, score in SCORES.items() if score.shapes])
def test_the_largest_models_need_less_than_two_megabytes(name, rng):
    features = rng.normal(size=(1000, 2048)).astype(np.float32)
    train = Evidence(rng.normal(size=(1000, 100)), features, np.arange(1000) % 100)
    rule = Unknowns(name, SCORES[name].fit(train, principal(features[:200])), 0.0, 0.05, {})
    assert len(json.dumps(rule.to_dict())) < 2e6


def test_the_choice_looks_only_at_left_out_classes():
    assert choosing.choose(TRAIN, HELD, frozen=False).auroc.keys() == LOGIT_SCORES.keys()
    found = choosing.choose(TRAIN, HELD, frozen=True)
    assert found.auroc.keys() == SCORES.keys()
    assert found.auroc[found.name] == max(found.auroc.values())
    assert min(found.auroc.values()) > 0.7
    few = choosing.choose(TRAIN.take(TRAIN.labels < 2), HELD.take(HELD.labels < 2), frozen=True)
    assert (few.name, few.auroc) == (choosing.USUAL, {})


def test_the_logits_of_a_frozen_backbone_are_fitted_again_without_the_left_out_classes():
    rng = np.random.default_rng(3)
    mixed = [replace(each, logits=rng.normal(size=each.logits.shape)) for each in (TRAIN, HELD)]
    found = choosing.choose(TRAIN, HELD, frozen=True).auroc
    assert choosing.choose(*mixed, frozen=True).auroc == found
    # Classes that the logits have never known are found about as well as truly unknown images.
    for name in LOGIT_SCORES:
        known, unknown = (LOGIT_SCORES[name].score({}, each.logits, each.features) for each in (HELD, UNKNOWN))
        assert found[name] == pytest.approx(choosing.area(known, unknown), abs=0.06)


def test_a_score_that_is_always_the_same_does_not_compete():
    train, held = (Evidence(log_softmax(each.logits, axis=1), each.features, each.labels) for each in (TRAIN, HELD))
    assert set(choosing.choose(train, held, frozen=False).auroc) == {"maximum softmax", "maximum logit"}


def test_damaged_arrays_are_refused():
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(unpack(pack(values)), values, rtol=1e-3)
    assert unpack(pack(np.zeros((0, 3)))).shape == (0, 3)
    for damage in ({"float16": "AAAA"}, {"float16": "?"}, {"shape": [3, 3]}, {"scale": float("inf")},
                   {"shape": [1 << 40, 3]}):
        with pytest.raises(ValueError, match=r"^an array"):
            unpack(pack(values) | damage)
    with pytest.raises(ValueError, match=r"^the score 'magic', expected one of"):
        Unknowns.read(UnknownRule(score="magic", threshold=0.0, false_rejects=0.05), 20)


@pytest.mark.parametrize("name", ["centre", "directions", "means"])
def test_arrays_that_do_not_fit_the_model_are_refused(name):
    rule = Unknowns("mahalanobis", SCORES["mahalanobis"].fit(TRAIN, SPACE), 1.0, 0.05, {}).to_dict()
    Unknowns.read(UnknownRule.model_validate(rule), 20)
    with pytest.raises(ValueError, match="does not fit the others and 21 features"):
        Unknowns.read(UnknownRule.model_validate(rule), 21)
    for wrong in (np.zeros((3, 4)), np.zeros((0, 20)), np.zeros(7)):
        with pytest.raises(ValueError, match=f"an array {name} "):
            Unknowns.read(UnknownRule.model_validate(rule | {"arrays": rule["arrays"] | {name: pack(wrong)}}), 20)
    del rule["arrays"][name]
    with pytest.raises(ValueError, match=f"an array {name} of shape "):
        Unknowns.read(UnknownRule.model_validate(rule), 20)
