"""The leaderboard: the right order, only comparable runs, and nothing dropped in silence."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
import json
import statistics

import pytest
from made_runs import DIGITS, digits, environment, material, run_of

from tenfold.comparison import (
    compare,
    compare_groups,
    csv_text,
    found_at,
    markdown,
    over_seeds,
    table,
    write_html,
)
from tenfold.comparison.tables import p_text, pair_table, seed_table
from tenfold.errors import RunError, StorageError, UnknownNameError, UsageError
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.statistics import holm, mcnemar
from tenfold.report import Material
from tenfold.run import State


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
    metrics = run.read_json("metrics.json")
    metrics["test"][metric]["value"] = value
    run.write_json("metrics.json", metrics)


@pytest.mark.parametrize("by", ["roc_auc", "accuracy", "f1_macro", "loss"])
def test_runs_are_ranked_best_first_in_the_metrics_own_direction(runs, by):
    board = compare(runs, by=by)
    assert [row.model for row in board] == ["good", "fair", "poor"]
    values = [row.metrics[by]["value"] for row in board]
    assert values == sorted(values, reverse=by != "loss")
    assert board.left_out == ()


def test_a_row_has_recipe_data_seeds_cost_and_metrics(runs, made):
    row = compare(runs)[0]
    assert (row.recipe, row.dataset, row.seeds, row.parameters) == ("good", "digits", (1,), 123456)
    assert (row.runs, row.images_per_second, row.model_bytes) == (("good-1",), None, None)
    assert row.seconds == pytest.approx(5 * 1.5)
    assert row.metrics["accuracy"] == {**made["good"].metrics["test"]["accuracy"], "sd": None}
    assert row.metrics["accuracy"]["low"] < row.metrics["accuracy"]["value"]
    assert row.test["count"] == 100
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.seeds = (5,)
    assert json.loads(json.dumps(row.to_dict(), allow_nan=False))["runs"] == ["good-1"]


def test_an_undefined_value_comes_last_whatever_the_direction(runs):
    changed(runs[1], "roc_auc", None)
    changed(runs[1], "loss", None)
    assert [row.model for row in compare(runs)] == ["fair", "poor", "good"]
    assert [row.model for row in compare(runs, by="loss")] == ["fair", "poor", "good"]
    assert "–" in table(compare(runs))[1][-1]


def test_equal_runs_keep_their_order_and_a_run_named_twice_counts_once(runs):
    for run in runs:
        changed(run, "roc_auc", 0.5)
    assert [row.model for row in compare([*runs, runs[0]])] == ["poor", "good", "fair"]


def test_unfinished_and_unscored_runs_are_left_out_by_name(tmp_path, runs, made):
    only = Material(made["good"].history, DIGITS, {"validation": made["good"].metrics["validation"]})
    others = [run_of(tmp_path, made["good"], "stopped", status="stopped"), run_of(tmp_path, only, "no-test"),
              run_of(tmp_path, Material(classes=DIGITS), "nothing")]
    board = compare([*others, *runs])
    assert len(board) == 3
    assert [sentence.split(" is left out: ")[0] for sentence in board.left_out] == [
        "stopped-1", "no-test-1", "nothing-1"]
    assert "'stopped'" in board.left_out[0]
    with pytest.raises(UsageError, match=r"expected at least one; stopped-1 is left out"):
        compare(others)
    with pytest.raises(UsageError, match="no finished run"):
        compare([])


def test_different_test_images_are_refused_with_the_reason(tmp_path, runs, made):
    other = run_of(tmp_path, made["good"], "other", fingerprint="beef" * 16)
    reason = r"unlike poor-1, other-1 has other data \(digits beefbeefbeef, not digits f00d"
    with pytest.raises(UsageError, match=reason):
        compare([*runs, other])
    fewer = copy.deepcopy(made["good"].metrics)
    fewer["test"]["count"] = 99
    runs[2].write_json("metrics.json", fewer)
    (runs[2].path / "predictions/test.parquet").unlink()
    with pytest.raises(UsageError, match=r"fair-1 has other test images \(99 of them, not 100 of them\)"):
        compare(runs)


def test_different_classes_are_refused_with_the_reason(runs):
    runs[1].write_json("environment.json", environment(DIGITS[::-1], 100))
    with pytest.raises(UsageError, match=r"good-1 has other classes \(nine, eight.*, not zero, one"):
        compare(runs)


def test_predictions_for_different_classes_are_reported(runs):
    for run in runs:
        run.write_json("environment.json", environment(DIGITS[::-1], 100))
    with pytest.raises(RunError, match=r"poor-1: the classes of its test predictions differ.*tenfold evaluate"):
        compare(runs)


def test_long_class_lists_are_compared_in_full_and_shown_shortened(runs):
    many = [f"class-{i}" for i in range(100)]
    for run, last in zip(runs, ("a", "a", "b"), strict=True):
        run.write_json("environment.json", environment((*many, last), 100))
        (run.path / "predictions/test.parquet").unlink()
    with pytest.raises(UsageError, match="fair-1 has other classes") as caught:
        compare(runs)
    assert len(str(caught.value)) < 400
    assert len(compare(runs[:2])) == 2


def test_an_unknown_metric_gets_a_suggestion(runs):
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        compare(runs, by="acuracy")


def test_the_table_is_text_with_the_ranking_metric_first(runs):
    board = compare(runs, by="f1_macro")
    header, body = table(board)
    assert header == ["model", "n", "F1", "tied", "accuracy", "loss", "ROC-AUC", "ECE", "seconds", "images/s",
                      "parameters", "MB"]
    assert [len(row) for row in body] == [12] * 3
    assert body[0][:2] == ["good", "1"]
    assert body[0][3] == "best"
    assert body[0][4].endswith("]")
    assert body[0][-4:] == ["7.5", "–", "123,456", "–"]
    header, body = pair_table(board)
    assert header == ["better", "than", "F1 by", "p (Holm)", "accuracy by", "p (Holm)"]
    assert [row[:2] for row in body] == [["good", "fair"], ["good", "poor"], ["fair", "poor"]]
    assert all(row[2].startswith("+") for row in body)
    assert [p_text(p) for p in (None, 0.0001, 0.04321)] == ["–", "<0.001", "0.043"]
    text = markdown(board)
    assert text.count("\n| good |") == 3
    rows = list(csv.DictReader(io.StringIO(csv_text(board))))
    assert [row["model"] for row in rows] == ["good", "fair", "poor"]
    assert float(rows[0]["f1_macro"]) == board[0].metrics["f1_macro"]["value"]


def test_pairs_hold_exact_tests_and_paired_intervals(runs, made):
    board = compare(runs)
    right = {name: each.test[2].argmax(1) == each.test[1] for name, each in made.items()}
    p = [mcnemar(right[a], right[b]) for a, b in (("good", "fair"), ("good", "poor"), ("fair", "poor"))]
    assert [pair.mcnemar["p"] for pair in board.pairs] == p
    assert [pair.mcnemar["p_holm"] for pair in board.pairs] == holm(p)
    for pair in board.pairs:
        for name, entry in pair.differences.items():
            assert entry["low"] <= entry["value"] <= entry["high"], name
            assert entry["p"] <= entry["p_holm"] <= 1
    assert [row.tied for row in board] == [True, False, False]
    json.dumps(board.to_dict(), allow_nan=False)


def test_equal_predictions_are_tied(tmp_path, made):
    board = compare([run_of(tmp_path, made["good"], name) for name in ("one", "two")], by="accuracy")
    assert [row.tied for row in board] == [True, True]
    assert board.pairs[0].differences["loss"] == {"value": 0, "low": 0, "high": 0, "p": 1, "p_holm": 1}


def test_seeds_of_a_recipe_are_one_model_with_mean_and_deviation(tmp_path):
    images, labels = digits()
    seeds = [material(images, labels, DIGITS, seed=i) for i in range(3)]
    runs = [run_of(tmp_path, each, "same", seed=i) for i, each in enumerate(seeds)]
    again = run_of(tmp_path, seeds[2], "same", seed=2)
    other = run_of(tmp_path, material(images, labels, DIGITS, seed=7, skill=1), "other", seed=0)
    board = compare([*runs, other, again], by="accuracy")
    row = board[0]
    values = [each.metrics["test"]["accuracy"]["value"] for each in seeds]
    assert row.runs == ("same-1", "same-2", "same-3")
    assert row.seeds == (0, 1, 2)
    assert row.metrics["accuracy"]["value"] == pytest.approx(statistics.mean(values))
    assert row.metrics["accuracy"]["sd"] == pytest.approx(statistics.stdev(values))
    assert row.metrics["accuracy"]["low"] < row.metrics["accuracy"]["value"] < row.metrics["accuracy"]["high"]
    assert board.left_out == ("same-4 is left out: it repeats same-3 (same recipe, same seed 2)",)
    assert " ± " in table(board)[1][0][2]
    assert len(board.pairs) == 1


def test_seeds_on_different_training_images_are_different_models(tmp_path, made):
    runs = [run_of(tmp_path, made[skill], "same", seed=seed) for seed, skill in enumerate(("good", "fair"))]
    changed_data = runs[1].read_json("environment.json")
    changed_data["dataset"]["fingerprint"] = "beef" * 16
    runs[1].write_json("environment.json", changed_data)
    assert [row.model for row in compare(runs)] == [
        "same (data cafecafecafe)", "same (data beefbeefbeef)"]


def test_runs_on_different_test_images_form_separate_groups(tmp_path, runs, made):
    other = run_of(tmp_path, made["good"], "other", fingerprint="beef" * 16)
    stopped = run_of(tmp_path, made["good"], "stopped", status="stopped")
    groups = compare_groups([*runs, other, stopped], by="accuracy", left_out=["x is left out"])
    assert [[row.model for row in board] for board in groups.boards] == [["good", "fair", "poor"], ["other"]]
    assert groups.left_out == ("x is left out", "stopped-1 is left out: its status is 'stopped'; expected 'finished'")
    tree = json.loads(json.dumps(groups.to_dict(), allow_nan=False))
    assert [len(group["rows"]) for group in tree["groups"]] == [3, 1]
    assert tree["left_out"] == list(groups.left_out)
    lines = list(csv.DictReader(io.StringIO(csv_text(*groups.boards))))
    assert [(line["group"], line["dataset"], line["model"]) for line in lines] == [
        ("1", "digits", "good"), ("1", "digits", "fair"), ("1", "digits", "poor"), ("2", "digits", "other")]


def test_a_single_group_is_the_leaderboard(runs):
    groups = compare_groups(runs, left_out=["x is left out"])
    assert groups.boards == (dataclasses.replace(compare(runs), left_out=("x is left out",)),)
    assert groups.to_dict() == groups.boards[0].to_dict()
    assert groups.left_out == ()
    with pytest.raises(UsageError, match="received no finished run with test metrics"):
        compare_groups([])
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        compare_groups(runs, by="acuracy")


def test_two_seeds_get_a_note_and_differences_within_the_metric_range(tmp_path, made):
    pair = [run_of(tmp_path, made[skill], "same", seed=seed) for seed, skill in enumerate(("good", "poor"))]
    board = compare([*pair, run_of(tmp_path, made["fair"], "other")], by="accuracy")
    note, = board.notes
    assert note == ("Two seeds say little about other seeds, so the intervals of same are very wide: "
                    "train three or more.")
    assert board.to_dict()["notes"] == [note]
    assert note in markdown(board)
    assert note in write_html(board, tmp_path / "page.html").read_text(encoding="utf-8")
    for name, entry in board.pairs[0].differences.items():
        widest = metric(name).most - metric(name).least
        assert -widest <= entry["low"] <= entry["value"] <= entry["high"] <= widest, name
    assert (board.pairs[0].differences["accuracy"]["low"], board.pairs[0].differences["accuracy"]["high"]) == (-1, 1)
    assert compare(pair[:1]).notes == ()


def test_the_board_counts_and_averages_the_seeds_of_a_recipe(tmp_path):
    images, labels = digits()
    runs = [run_of(tmp_path, material(images, labels, DIGITS, seed=i), "same", seed=i) for i in range(3)]
    row = over_seeds(runs)
    assert row == dataclasses.replace(compare(runs)[0], tied=None)
    header, body = seed_table(row)
    assert header == ["metric", "mean ± sd", "95 % interval"]
    accuracy = dict(zip([line[0] for line in body], body, strict=True))["Accuracy"]
    assert "% ± " in accuracy[1]
    assert accuracy[2].startswith("[")
    other = run_of(tmp_path, material(images, labels, DIGITS, seed=7), "other")
    assert over_seeds([*runs, other]) is None
    assert over_seeds([]) is None


def test_a_run_without_predictions_is_ranked_and_not_tested(runs):
    (runs[0].path / "predictions/test.parquet").unlink()
    board = compare(runs)
    assert len(board.pairs) == 1
    assert [row.tied for row in board] == [True, False, None]
    assert "poor is in no test: the predictions of a run are missing" in board.left_out[0]


def test_pareto_points_list_the_fronts_of_each_model(runs):
    for run, rate in zip(runs, (300.0, 100.0, 200.0), strict=True):
        run.write_json("inference.json", {"images_per_second": rate, "threads": 1, "processor": "A"})
    points = {point["model"]: point for point in compare(runs).pareto}
    assert points["good"]["front"] == ["seconds", "images_per_second"]
    assert points["fair"]["front"] == ["images_per_second"]
    assert points["poor"]["images_per_second"] == 300
    assert compare(runs)[0].machine == "A, 1 thread"


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
    assert text.index("good") < text.index("fair") < text.index("poor")
    assert "stopped-1 is left out" in text
    assert "The test split was held out by the recipe" in text
    assert text.count('class="dot"') == 3
    with pytest.raises(StorageError):
        write_html(compare(runs), path / "below-a-file.html")


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("predictions/test.parquet", b"PAR1 cut off", "invalid Parquet"),
    ("environment.json", b'{"dataset": {}}', "missing dataset.classes"),
    ("metrics.json", b"[]", "not a JSON object"),
])
def test_a_damaged_run_is_left_out_with_the_reason(runs, name, content, reason):
    (runs[1].path / name).write_bytes(content)
    board = compare(runs)
    assert len(board) == 2
    assert len(board.left_out) == 1
    assert runs[1].name in board.left_out[0]
    assert reason in board.left_out[0]


def test_the_accuracy_of_several_seeds_is_not_tested_by_mcnemar(tmp_path, made):
    board = compare([run_of(tmp_path, made[skill], f"{skill}-{seed}", seed=seed)
                     for skill in ("good", "poor") for seed in (0, 1)], by="accuracy")
    (pair,) = board.pairs
    assert pair.mcnemar == {"p": None, "p_holm": None}
    assert pair.test("accuracy") is pair.differences["accuracy"]


def test_accuracy_p_values_are_adjusted_for_the_reported_tests(tmp_path, made):
    runs = [run_of(tmp_path, made[skill], name, seed=seed) for skill, name, seed in
            (("good", "one", 0), ("fair", "other", 0), ("poor", "several", 0), ("fair", "several", 1))]
    board = compare(runs, by="accuracy")
    tests = [pair.test("accuracy") for pair in board.pairs]
    assert [pair.mcnemar["p"] is None for pair in board.pairs].count(True) == 2
    assert [test["p_holm"] for test in tests] == holm([test["p"] for test in tests])


def test_intervals_over_two_seeds_stay_within_the_metric_range(tmp_path):
    images, labels = digits()
    runs = [run_of(tmp_path, material(images, labels, DIGITS, seed=seed, skill=skill), "same", seed=seed)
            for seed, skill in enumerate((9, 2))]
    (row,) = compare(runs).rows
    for name, entry in row.metrics.items():
        assert metric(name).least <= entry["low"] <= entry["value"] <= entry["high"] <= metric(name).most, name
    assert row.metrics["accuracy"]["high"] == 1.0


def test_a_run_whose_predictions_differ_from_its_metrics_is_left_out(runs):
    metrics = runs[1].read_json("metrics.json")
    metrics["test"]["count"] = 99
    runs[1].write_json("metrics.json", metrics)
    board = compare(runs)
    assert len(board) == 2
    assert "predictions have 100 images; expected 99" in board.left_out[0]


def test_the_training_time_comes_from_the_status(runs):
    (runs[0].path / "history.csv").unlink()
    runs[0].write_status(State.FINISHED, seconds=12.5)
    assert {row.model: row.seconds for row in compare(runs)}["poor"] == 12.5


def test_one_bad_model_among_twelve_differs_from_the_best(tmp_path):
    images, labels = digits(400)
    runs = [run_of(tmp_path, material(images, labels, DIGITS, seed=seed, skill=3 if seed else 0), f"m{seed}")
            for seed in range(12)]
    board = compare(runs)
    assert board[-1].model == "m0"
    assert board[-1].tied is False
    assert sum(row.tied is True for row in board) > 6


def test_a_study_directory_means_its_runs_and_other_paths_are_reported(tmp_path, made):
    inside = [run_of(tmp_path / "study-1", made[skill], skill) for skill in ("good", "poor")]
    (tmp_path / "killed-1").mkdir()
    found, left_out = found_at([tmp_path / "study-1", tmp_path / "killed-1"])
    assert [run.path for run in found] == [run.path for run in inside]
    assert left_out == ["killed-1 is left out: not a run directory (recipe.toml or "
                        "status.json is missing); expected one made by `tenfold train`"]
    assert compare_groups(found, left_out=left_out).boards[0].left_out == tuple(left_out)
    assert [run.path for run in found_at([tmp_path])[0]] == [run.path for run in inside]
    with pytest.raises(RunError, match="nothing: no such directory"):
        found_at([tmp_path / "killed-1", tmp_path / "nothing"])
