"""The leaderboard: the right order, only comparable runs, and nothing dropped in silence."""

from __future__ import annotations

import copy
import dataclasses
import json

import pytest
from made_runs import DIGITS, digits, environment, material, run_of

from tenfold.comparison import compare, table, write_html
from tenfold.errors import StorageError, UnknownNameError, UsageError
from tenfold.report import Material


@pytest.fixture(scope="module")
def made():
    images, labels = digits()
    return {name: material(images, labels, DIGITS, seed=i, skill=skill)
            for i, (name, skill) in enumerate({"poor": 1.0, "good": 4.0, "fair": 2.5}.items())}


@pytest.fixture
def runs(tmp_path, made):
    return [run_of(tmp_path, each, name, seed=i) for i, (name, each) in enumerate(made.items())]


def changed(run, metric, value):
    """Give the run another value of a metric on the test split."""
    metrics = run.metrics()
    metrics["test"][metric]["value"] = value
    run.write_json("metrics.json", metrics)


@pytest.mark.parametrize("by", ["roc_auc", "accuracy", "f1_macro", "loss"])
def test_runs_are_ranked_best_first_in_the_metrics_own_direction(runs, by):
    board = compare(runs, by=by)
    assert [row.run for row in board] == ["good-1", "fair-1", "poor-1"]
    values = [row.metrics[by]["value"] for row in board]
    assert values == sorted(values, reverse=by != "loss")
    assert board.left_out == ()


def test_a_row_holds_what_a_reader_compares(runs, made):
    row = compare(runs)[0]
    assert (row.recipe, row.dataset, row.seed, row.parameters) == ("cnn", "digits", 1, 123456)
    assert row.seconds == pytest.approx(5 * 1.5)
    assert row.metrics["accuracy"] == made["good"].metrics["test"]["accuracy"]
    assert row.metrics["accuracy"]["low"] < row.metrics["accuracy"]["value"]
    assert row.test["count"] == 100
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.seed = 5
    assert json.loads(json.dumps(row.to_dict(), allow_nan=False))["run"] == "good-1"


def test_an_undefined_value_comes_last_whatever_the_direction(runs):
    changed(runs[1], "roc_auc", None)
    changed(runs[1], "loss", None)
    assert [row.run for row in compare(runs)] == ["fair-1", "poor-1", "good-1"]
    assert [row.run for row in compare(runs, by="loss")] == ["fair-1", "poor-1", "good-1"]
    assert "–" in table(compare(runs))[1][-1]


def test_equal_runs_keep_their_order_and_a_run_named_twice_counts_once(runs):
    for run in runs:
        changed(run, "roc_auc", 0.5)
    assert [row.run for row in compare([*runs, runs[0]])] == ["poor-1", "good-1", "fair-1"]


def test_unfinished_and_unscored_runs_are_left_out_by_name(tmp_path, runs, made):
    only = Material(made["good"].history, DIGITS, {"validation": made["good"].metrics["validation"]})
    others = [run_of(tmp_path, made["good"], "stopped", status="stopped"), run_of(tmp_path, only, "no-test"),
              run_of(tmp_path, Material(classes=DIGITS), "nothing")]
    board = compare([*others, *runs])
    assert len(board) == 3
    assert [sentence.split(" is left out: ")[0] for sentence in board.left_out] == [
        "stopped-1", "no-test-1", "nothing-1"]
    assert "'stopped'" in board.left_out[0]
    with pytest.raises(UsageError, match=r"no finished run to compare; stopped-1 is left out"):
        compare(others)
    with pytest.raises(UsageError, match="no finished run"):
        compare([])


def test_other_test_images_are_refused_with_the_reason(tmp_path, runs, made):
    other = run_of(tmp_path, made["good"], "other", fingerprint="beef" * 16)
    reason = r"unlike poor-1, other-1 has other data \(digits beefbeefbeef, not digits f00d"
    with pytest.raises(UsageError, match=reason):
        compare([*runs, other])
    fewer = copy.deepcopy(made["good"].metrics)
    fewer["test"]["count"] = 99
    runs[2].write_json("metrics.json", fewer)
    with pytest.raises(UsageError, match=r"fair-1 has other test images \(99 of them, not 100 of them\)"):
        compare(runs)


def test_other_classes_are_refused_with_the_reason(runs):
    runs[1].write_json("environment.json", environment(DIGITS[::-1], 100))
    with pytest.raises(UsageError, match=r"good-1 has other classes \(nine, eight.*, not zero, one"):
        compare(runs)


def test_long_class_lists_are_compared_whole_and_shown_in_part(runs):
    many = [f"class-{i}" for i in range(100)]
    for run, last in zip(runs, ("a", "a", "b"), strict=True):
        run.write_json("environment.json", environment((*many, last), 100))
    with pytest.raises(UsageError, match="fair-1 has other classes") as caught:
        compare(runs)
    assert len(str(caught.value)) < 400
    assert len(compare(runs[:2])) == 2


def test_an_unknown_metric_is_refused_with_the_nearest(runs):
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        compare(runs, by="acuracy")


def test_the_table_is_text_with_the_ranking_metric_first(runs):
    header, body = table(compare(runs, by="f1_macro"))
    assert header == ["run", "recipe", "seed", "F1", "loss", "accuracy", "precision", "recall", "ROC-AUC",
                      "parameters", "seconds"]
    assert [len(row) for row in body] == [11] * 3
    assert body[0][:3] == ["good-1", "cnn", "1"]
    assert body[0][5].endswith("]")
    assert body[0][-2:] == ["123,456", "7.5"]
    assert table([])[1] == []


def test_the_page_is_self_contained_and_inert(tmp_path, runs, made):
    tree = environment(DIGITS, 100)
    tree["dataset"]["name"] = "<script>alert(1)</script>"
    for run in runs:
        run.write_json("environment.json", tree)
    stopped = run_of(tmp_path, made["good"], "stopped", status="stopped")
    path = write_html(compare([*runs, stopped]), tmp_path / "new" / "comparison.html")
    text = path.read_text(encoding="utf-8")
    assert text.count("<script") == 1
    assert "&lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")
    assert text.index("good-1") < text.index("fair-1") < text.index("poor-1")
    assert "stopped-1 is left out" in text
    assert "The test split is held out by the recipe" in text
    assert text.count('class="dot"') == 3
    with pytest.raises(StorageError):
        write_html(compare(runs), path / "below-a-file.html")
