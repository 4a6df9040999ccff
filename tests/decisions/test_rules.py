"""Rules come back from a model's facts, decide in order, say what they lack, and damaged ones are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tenfold.decisions.abstention import Accepting
from tenfold.decisions.conformal import Sets
from tenfold.decisions.crossconformal import CrossSets
from tenfold.decisions.rules import Rules
from tenfold.decisions.temperature import at_temperature
from tenfold.decisions.unknowns import Unknowns

LOGITS = np.log(np.array([[0.9, 0.05, 0.05], [0.5, 0.4, 0.1], [0.98, 0.01, 0.01], [0.34, 0.33, 0.33]]))
FEATURES = np.zeros((4, 2))


def rules(threshold: float | None = 0.8, unknowns: bool = True) -> Rules:
    found = Unknowns("maximum softmax", {}, 0.6, 0.05, {"maximum softmax": 0.8}) if unknowns else None
    sets = [Sets(0.9, "lac", 0.65, np.array([0.65, 0.5, 0.65]), np.array([True, True, False]))]
    return Rules({"split": "calibration", "images": 40, "reason": ""}, 2.0, sets, {0.99: 99},
                 Accepting(0.95, threshold, 40, 30, 0, 59), found, "" if unknowns else "too few images")


def facts(of: Rules) -> dict:
    return json.loads(json.dumps({"classes": ["a", "b", "c"], "decisions": of.to_dict()}))


def test_the_decision_is_unknown_before_unsure_before_accepted():
    p = at_temperature(np.exp(LOGITS), 2.0)
    np.testing.assert_allclose(rules().probabilities(LOGITS), p)
    assert rules().decide(p, LOGITS, FEATURES, None) == ["unsure", "unsure", "accepted", "unknown"]
    assert rules(unknowns=False).decide(p, LOGITS, FEATURES, None) == ["unsure", "unsure", "accepted", "unsure"]
    assert rules(None).decide(p, LOGITS, FEATURES, None) == ["unsure", "unsure", "unsure", "unknown"]
    assert rules(0.0, unknowns=False).decide(p, LOGITS, FEATURES, None) == ["accepted"] * 4


@pytest.mark.parametrize("unknowns", [True, False])
def test_rules_come_back_from_the_facts_of_a_model(unknowns):
    mine = rules(unknowns=unknowns)
    again = Rules.read(facts(mine), 2)
    assert again.to_dict() == mine.to_dict()
    assert again.sets_at(0.9).by_class.tolist() == [0.65, 0.5, 0.65]
    assert again.sets_at(0.95) is None
    assert Rules.read({"classes": ["a"]}, 2) is None


def test_rules_say_what_they_lack():
    assert rules().cautions() == []
    caution, = rules(None).cautions()
    refused = ("no answer is accepted: 40 calibration images can't support an accuracy of 95 % (it needs at least 19 "
               "more)")
    assert caution == f"{refused}; `tenfold calibrate RUN --accuracy` fits a lower one"
    highest = "; they support 91 %: `tenfold calibrate RUN --accuracy 0.91`"
    for supported, advice in ((0.91, highest), (0.05, ", nor one of 50 %"), (0.0, ", nor one of 50 %")):
        accepting = replace(rules(None).accepting, supported=supported)
        assert replace(rules(), accepting=accepting).cautions() == [f"{refused}{advice}"]
    fitted = {"split": "validation", "images": 5, "reason": "it is void"}
    void, sets = Rules(fitted, 1.0, [], {0.9: 9}, rules().accepting, None).cautions()
    assert void == "the decision rules guarantee nothing: it is void"
    assert sets == "there are no prediction sets at 90 %: they need 9 calibration images, and there are 5"


@pytest.mark.parametrize(("key", "value"), [
    ("temperature", 0), ("temperature", "warm"), ("sets", [{}]), ("accepted", {}), ("unknown", {"score": "magic"}),
    ("fitted", None),
    ("sets", [{"level": 0.9, "method": "lac", "threshold": 1.0, "by_class": [1.0], "guaranteed": []}]),
])
def test_damaged_rules_are_refused(key, value):
    damaged = facts(rules())
    damaged["decisions"][key] = value
    with pytest.raises(ValueError, match=r"."):
        Rules.read(damaged, 2)


def over_folds() -> Rules:
    scores = (np.linspace(0.1, 0.5, 10), np.linspace(0.2, 0.6, 9))
    sets = [CrossSets(level, method, scores) for level in (0.9, 0.8) for method in ("lac", "aps")]
    return Rules({"split": "folds", "images": 19, "reason": ""}, 1.0, sets, {0.99: 99},
                 Accepting(0.95, 0.8, 19, 19, 0, 59), None, "no score")


def test_rules_over_folds_come_back_and_read_the_members_in_the_features():
    again = Rules.read(facts(over_folds()), 9)
    assert again.to_dict() == over_folds().to_dict()
    assert again.to_dict(arrays=False)["folds"]["scores"] == {}
    p = np.array([[[0.5, 0.3, 0.2], [0.7, 0.2, 0.1]]])
    features = np.hstack([np.log(p).reshape(1, 6), np.log(p.mean(axis=1))])
    for sets in again.sets:
        np.testing.assert_array_equal(again.shown(sets, p.mean(axis=1), features), sets.shown(p))
    assert again.cautions() == [
        "the rules were fitted over folds: sets at 90 % guarantee 71 %, and accepted answers are not guaranteed"]


@pytest.mark.parametrize(("change", "reason"), [
    ({"images": [10, 8]}, "lac scores are not those of folds"), ({"scores": {}}, "lac scores are not those of folds"),
    ({"images": [0]}, "images"), ({"sets": [{"level": 0.99, "method": "lac", "promised": 0.9}]}, "can't hold 0.99"),
    ({"sets": [{"level": 0.9, "method": "magic", "promised": 0.9}]}, "lac"),
])
def test_damaged_rules_over_folds_are_refused(change, reason):
    damaged = facts(over_folds())
    damaged["decisions"]["folds"] |= change
    with pytest.raises(ValueError, match=reason):
        Rules.read(damaged, 9)
    with pytest.raises(ValueError, match="8 features"):
        Rules.read(facts(over_folds()), 8)


def test_an_unknown_method_of_sets_is_refused():
    damaged = facts(rules())
    damaged["decisions"]["sets"][0]["method"] = "magic"
    with pytest.raises(ValueError, match="lac"):
        Rules.read(damaged, 2)
