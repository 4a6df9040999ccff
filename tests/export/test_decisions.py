"""The decision rules in the scripts of a page give what the rules of Tenfold give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.decisions.abstention import Accepting
from tenfold.decisions.conformal import Sets
from tenfold.decisions.crossconformal import CrossSets
from tenfold.decisions.pixels import Usual, statistics
from tenfold.decisions.record import UnknownRule
from tenfold.decisions.rules import FOLDS, Rules
from tenfold.decisions.unknowns import SCORES, Evidence, Unknowns, principal
from tenfold.export.formats.html import meaning, script_rules
from tenfold.export.page import runtime

SCRIPTS = [Path(runtime.__file__).with_name(name) for name in ("decisions.js", "statistics.js")]
CLASSES, COUNT = 5, 60


@pytest.fixture
def tab(tmp_path: Path, browser: Any) -> Iterator[Any]:
    blank = tmp_path / "blank.html"
    blank.write_text("<!doctype html><title>x</title>")
    with browser.page(blank) as tab:
        for script in SCRIPTS:
            tab.add_script_tag(content=script.read_text(encoding="utf-8"))
        yield tab
    assert browser.errors == []


@pytest.fixture
def evidence() -> Evidence:
    rng, labels = np.random.default_rng(0), np.arange(COUNT) % CLASSES
    features = (3 * np.eye(CLASSES, 12)[labels] + rng.normal(size=(COUNT, 12))).astype(np.float32)
    return Evidence(features[:, :CLASSES], features, labels)


def unknown_rule(name: str, evidence: Evidence) -> Unknowns:
    """A rule as it comes out of a model file, which calls every tenth image unknown."""
    arrays = SCORES[name].fit(evidence, principal(evidence.features))
    fitted = Unknowns(name, arrays, 0.0, 0.1, {})
    read = Unknowns.read(UnknownRule.model_validate(fitted.to_dict()))
    scores = np.sort(read.scores(evidence.logits, evidence.features, None))
    return Unknowns(name, read.arrays, float(scores[-7:-5].mean()), 0.1, {})


def test_every_score_for_unknown_images_is_the_same(tab: Any, evidence: Evidence) -> None:
    for name in SCORES:
        rule = unknown_rule(name, evidence)
        found = tab.evaluate("([rule, images]) => images.map(image => unknownScore(rule, ...image))",
                             [rule.to_dict(), images(evidence)])
        assert found == pytest.approx(rule.scores(evidence.logits, evidence.features, None), rel=1e-4, abs=1e-4), name


@pytest.mark.parametrize("shape", [(32, 32, 3), (8, 8, 1), (5, 3, 1), (2, 200, 3)])
def test_what_pixels_add_to_the_score_is_the_same(tab: Any, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    soft, noise = rng.normal(120, 3, (200, *shape)).astype(np.uint8), rng.integers(0, 256, (5, *shape), np.uint8)
    usual = Usual.fit(statistics(soft), statistics(soft), 1.0)
    rule = Unknowns("maximum logit", {}, 0.0, 0.1, {}, usual)
    found = tab.evaluate("([rule, images, shape]) => images.map(each => unknownScore(rule, [3, 1], [], each, shape))",
                         [rule.to_dict(), [each.ravel().tolist() for each in noise], list(shape)])
    assert found == pytest.approx(usual.beyond(statistics(noise)) - 3, rel=1e-3)
    assert min(found) > -3


@pytest.mark.parametrize("accepted", [0.6, None])
@pytest.mark.parametrize("limit", [0.9, 0.2, None])
def test_sets_and_decisions_are_the_same(tab: Any, evidence: Evidence, accepted: float | None, limit: float | None,
                                         ) -> None:
    sets = [] if limit is None else [Sets(0.9, "lac", limit, np.full(CLASSES, limit), np.ones(CLASSES, bool))]
    rules = Rules({}, 1.7, sets, {}, Accepting(0.9, accepted, COUNT, 0, 0, 9), unknown_rule("angle", evidence))
    probabilities = rules.probabilities(evidence.logits)
    found = tab.evaluate(
        """([rules, temperature, images]) => images.map(([logits, features]) => {
             const p = softmax(logits, temperature);
             return [p, predictionSet(p, rules), decision(p, logits, features, null, null, rules)];
           })""", [script_rules(rules), rules.temperature, images(evidence)])
    decided = rules.decide(probabilities, evidence.logits, evidence.features, None)
    assert {*decided} == {"unknown", "unsure", *(["accepted"] if accepted else [])}
    for (p, chosen, decision), expected, wanted in zip(found, probabilities, decided, strict=True):
        assert p == pytest.approx(expected, rel=1e-12)
        assert decision == wanted
        if limit is None:
            assert chosen is None
        else:
            members = sets[0].shown(expected[None])[0]
            assert chosen == [i for i in np.argsort(-expected, kind="stable") if members[i]]


def test_without_rules_there_is_no_set_and_no_decision(tab: Any) -> None:
    found = tab.evaluate("[predictionSet([1, 0]), decision([1, 0], [9, 0], [1], [7], [1, 1, 1])]")
    assert found == [None, None]


def test_sets_over_folds_are_not_shown() -> None:
    rng = np.random.default_rng(0)
    folds = [(np.arange(30) % CLASSES, rng.dirichlet(np.ones(CLASSES), 30)) for _ in range(3)]
    accepting = Accepting(0.95, 0.7, 90, 60, 0, 59)
    rules = Rules({"split": FOLDS}, 1.0, [CrossSets.fit(folds, 0.9, "lac")], {}, accepting, None)
    assert script_rules(rules)["set"] is None
    assert meaning(rules) == ("Accepted answers should be 95 % right or more, but nothing guarantees it. This holds "
                              "only for images like those of the training.")


def images(evidence: Evidence) -> list[list[list[float]]]:
    """Logits and features of each image."""
    return [[logits, features] for logits, features in
            zip(evidence.logits.tolist(), evidence.features.tolist(), strict=True)]
