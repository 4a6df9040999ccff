"""The page of a search: the facts behind its plots, the sentences of its verdict, and its table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tenfold.registry import PLOTS
from tenfold.report.plots import Material, draw_all
from tenfold.report.plots.search import best_so_far, position, search_history, shown
from tenfold.report.search import cautions, outcomes, page, table, verdict
from tenfold.search.importance import importance

SPACE = {"train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "model.dropout": {"low": 0.0, "high": 0.5},
         "model.hidden": {"choices": [[8], [16, 16]]}}


def results(count: int = 24) -> dict[str, Any]:
    """A search whose values depend on the learning rate only; every third trial is pruned."""
    rng, trials = np.random.default_rng(0), []
    for number in range(1, count + 1):
        rate = float(10 ** rng.uniform(-4, -2))
        changes: dict[str, Any] = {"train.learning_rate": rate, "model.hidden": [[8], [16, 16]][number % 2]}
        if number % 2:
            changes["model.dropout"] = float(rng.uniform(0, 0.5))
        pruned = number % 3 == 0
        trials.append({"number": number, "status": "pruned" if pruned else "finished", "seconds": 30.0, "epochs": 2,
                       "value": None if pruned else 0.9 + np.log10(rate) / 50, "curve": [0.5, 0.8], "changes": changes,
                       "reason": "not among the best" if pruned else "", "run": f"trials/trial-{number}"})
    best = max((row for row in trials if row["value"]), key=lambda row: row["value"])
    winner = {"trial": best["number"], "trials": count,
              "runs": ["final/cnn-tuned-1", "final/cnn-tuned-2", "final/cnn-1"],
              "selection": {"value": best["value"], "low": 0.8, "high": 0.9},
              "test": {"value": 0.81, "low": 0.79, "high": 0.83, "sd": 0.01},
              "optimism": {"value": 0.05, "low": 0.01, "high": 0.09},
              "difference": {"value": 0.02, "low": -0.01, "high": 0.05, "p": 0.2}}
    return {"name": "search-cnn-digits-1", "recipe": "cnn", "by": "accuracy", "sampler": "tpe", "pruner": "halving",
            "seed": 0, "space": SPACE, "monitor": "val_accuracy", "trials": trials, "best": best, "winner": winner}


def test_positions_in_ranges_and_among_choices() -> None:
    assert position(SPACE["train.learning_rate"], 1e-3) == pytest.approx(0.5)
    assert position(SPACE["model.dropout"], 0.5) == 1
    assert [position(SPACE["model.hidden"], value) for value in ([8], [16, 16])] == [0, 1]


def test_the_best_so_far_never_becomes_worse() -> None:
    numbers, best = best_so_far(results())
    assert numbers == sorted(numbers)
    assert 3 not in numbers
    assert best == sorted(best)
    falling = results() | {"by": "loss"}
    assert best_so_far(falling)[1] == sorted(best_so_far(falling)[1], reverse=True)


def test_all_plots_of_a_search_are_drawn_and_only_those() -> None:
    drawn = draw_all(Material(search=results() | {"importance": importance(results())}))
    assert list(drawn) == [name for name in PLOTS.names() if name.startswith("search_")]
    assert len(drawn) == 5
    assert draw_all(Material(search=results() | {"trials": [], "best": None, "winner": None})) == {}


def test_importance_finds_the_key_that_matters() -> None:
    entries = importance(results())
    assert entries[0]["key"] == "train.learning_rate"
    assert entries[0]["low"] > entries[1]["high"]
    assert sum(entry["value"] for entry in entries) == pytest.approx(1)
    assert importance(results(9)) == []


def test_the_verdict_says_what_was_chosen_and_how_honest_its_score_is() -> None:
    facts = dict(verdict(results()))
    assert facts["trials"] == outcomes(results()) == "24 trials: 16 finished, 8 pruned"
    assert facts["accuracy, validation"].endswith("the best of 24")
    assert facts["accuracy, test"] == "81.0 % [79.0, 83.0], 2 new seeds"
    assert facts["optimism"].startswith("+5.0 points [+1.0, +9.0]")
    assert facts["against cnn"] == "+2.0 points [-1.0, +5.0] on the same test images, p = 0.200"
    same = results()
    same["winner"] = same["winner"] | {"difference": None, "runs": ["final/cnn-tuned-1", "final/cnn-tuned-2"]}
    assert "no trial was better" in dict(verdict(same))["against cnn"]
    assert list(dict(verdict(results() | {"best": None, "winner": None}))) == ["trials"]
    assert "accuracy, test" not in dict(verdict(results() | {"winner": None}))


def test_cautions_name_the_limits() -> None:
    said = " ".join(cautions(results()))
    assert "clearly too good" in said
    assert "not shown to be better than cnn" in said
    assert "train.learning_rate: the best value" in said
    worse = results()
    worse["winner"] = worse["winner"] | {"difference": {"value": -0.03, "low": -0.04, "high": -0.02, "p": 0.001}}
    assert "The chosen recipe is worse than cnn: keep cnn." in cautions(worse)
    assert "not finished" in " ".join(cautions(results() | {"winner": None}))


def test_the_table_has_the_cost_of_each_trial() -> None:
    header, body = table(results())
    row = dict(zip(header, body[0], strict=True))
    assert row["validation accuracy per minute"] == "1.60"
    assert row["hidden"] == "[16, 16]"
    assert dict(zip(header, body[1], strict=True))["dropout"] == "–"


def test_records_per_minute_are_shown_only_where_they_say_something() -> None:
    losses, folded = results() | {"by": "loss", "monitor": "val_loss"}, results() | {"folds": 5}
    for each in (losses, folded):
        header, body = table(each)
        assert not [name for name in header if "per minute" in name]
        assert {len(row) for row in body} == {len(header)}
        assert "per minute" not in page(each, "")
    assert "Validation accuracy per minute: " in page(results(), "")


def test_scores_of_folds_are_not_called_validation_scores() -> None:
    figure = search_history(Material(search=results() | {"folds": 5}))
    assert figure is not None
    assert figure.axes[0].get_ylabel() == "accuracy (mean over 5 folds)"


def test_the_page_is_self_contained() -> None:
    text = page(results(), "[train]\nepochs = 3\n")
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<figure>") == 4  # without importances
    assert "epochs = 3" in text


def test_only_what_differs_from_the_start_is_a_change() -> None:
    found = results()
    best = found["best"]["changes"]
    assert dict(verdict(found | {"start": best}))["changes"] == "none"
    changed = dict(verdict(found | {"start": best | {"train.learning_rate": 0.5}}))["changes"]
    assert changed == f"train.learning_rate {best['train.learning_rate']:.3g}"


def test_a_best_value_of_zero_asks_for_no_wider_range() -> None:
    found = results()
    found["best"]["changes"]["model.dropout"] = 0.0
    assert not any("model.dropout" in said for said in cautions(found))
    found["best"]["changes"]["model.dropout"] = 0.5
    assert any("model.dropout: the best value, 0.5, lies at the end" in said for said in cautions(found))


def test_values_are_shown_in_the_words_of_a_recipe() -> None:
    assert shown({"pixels": 1}) == "pixels 1"
    assert shown([[8], [16, 16]]) == "[[8], [16, 16]]"
    assert [shown(True), shown(0.123456), shown("sgd"), shown(None)] == ["true", "0.123", "sgd", "None"]
