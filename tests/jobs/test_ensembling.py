"""`ensemble`: a run like any other, compared with its best member."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_runs import calibrated
from typer.testing import CliRunner

import tenfold
from tenfold.cli import app
from tenfold.errors import RunError, UsageError
from tenfold.evaluation.predictions import read_predictions
from tenfold.evaluation.statistics import mcnemar
from tenfold.jobs import ensembling
from tenfold.recipe import Recipe
from tenfold.report import worth
from tenfold.run import Run

RECIPE = Recipe.from_dict({
    "data": {"source": "shapes:train=240,test=60,seed=3", "validation": 0.25},
    "model": {"name": "cnn", "filters": [4, 8], "dense": [16]}, "train": {"epochs": 2, "batch_size": 20},
}, name="small")


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    root = tmp_path_factory.mktemp("members")
    return [tenfold.train(recipe, runs=root) for recipe in tenfold.seeds(RECIPE, 2)]


@pytest.fixture(scope="module")
def whole(members: list[Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tenfold.ensemble(members, runs=tmp_path_factory.mktemp("ensemble"))


def test_an_ensemble_is_a_finished_run_with_its_own_scores(whole: Run, members: list[Run]) -> None:
    assert whole.name == "ensemble-shapes-1"
    assert whole.status()["status"] == "finished"
    assert whole.environment().fingerprint == members[0].environment().fingerprint
    found = whole.ensemble()
    assert [each["run"] for each in found["members"]] == [str(member.path.absolute()) for member in members]
    labels, p = read_predictions(whole, "test")
    expected = 0
    for member, each in zip(members, found["members"], strict=True):
        powers = read_predictions(member, "test")[1].astype(np.float64) ** (1 / each["temperature"])
        expected = expected + powers / powers.sum(axis=1, keepdims=True) / 2
    assert p == pytest.approx(expected, abs=1e-5)
    assert whole.metrics()["test"]["accuracy"]["value"] == (p.argmax(axis=1) == labels).mean()
    assert "validation" in whole.metrics()


def test_it_is_compared_with_the_member_that_is_best_on_validation(whole: Run, members: list[Run]) -> None:
    found = whole.ensemble()
    scores = [member.metrics()["validation"]["accuracy"]["value"] for member in members]
    assert [each["best"] for each in found["members"]] == [i == int(np.argmax(scores)) for i in range(2)]
    best = members[int(np.argmax(scores))]
    labels, mine = read_predictions(whole, "test")
    theirs = read_predictions(best, "test")[1]
    right, before = (p.argmax(axis=1) == labels for p in (mine, theirs))
    test = found["test"]
    assert (test["accuracy"], test["other"]) == (right.mean(), before.mean())
    assert test["change"] == pytest.approx(right.mean() - before.mean())
    assert test["p"] == mcnemar(right, before)
    assert found["cost"] == pytest.approx(2.0)
    page = (whole.path / "report.html").read_text(encoding="utf-8")
    assert "Is it worth it?" in page
    assert all(member.name in page for member in members)
    assert "None: the model is the mean of other runs." in page
    assert found["seconds"] == pytest.approx(sum(member.status().seconds for member in members))


def test_predict_evaluate_explain_compare_and_export_take_it(whole: Run, members: list[Run], tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(whole.path, tmp_path / "run")))
    test = tenfold.open_dataset(RECIPE.data.source).test
    p = read_predictions(run, "test")[1]
    for runtime in ("fast", "keras", "onnx"):
        found = [list(each.probabilities.values()) for each in tenfold.predict(run, test.images[:5], runtime=runtime)]
        assert np.asarray(found) == pytest.approx(calibrated(run, p[:5]), abs=1e-4)
    before = run.metrics()["test"]
    assert tenfold.evaluate(run, calibrate=True)["test"]["accuracy"] == before["accuracy"]
    assert run.calibration()["temperature"] > 0
    explained = tenfold.explain(run, most=2, neighbours=1)
    assert all(len(each["grad_cam"]) == 2 for each in explained.entries if "predicted" in each)
    board = tenfold.compare([run, *members], by="accuracy")
    assert {name for row in board for name in row.runs} == {run.name, *(member.name for member in members)}


def test_an_interrupted_ensemble_is_completed_by_resume(
    members: list[Run], whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tenfold.jobs.verdicts.judge", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tenfold.ensemble(members, runs=tmp_path)
    run = Run.open(tmp_path / "ensemble-shapes-1")
    assert run.status()["status"] == "stopped"
    tenfold.resume(run)
    assert run.status()["status"] == "finished"
    assert run.ensemble()["test"] == whole.ensemble()["test"]
    assert run.metrics()["test"]["accuracy"] == whole.metrics()["test"]["accuracy"]
    with pytest.raises(UsageError, match="is not trained"):
        tenfold.resume(run, epochs=9)


def test_a_mean_without_validation_split_is_compared_with_its_first_member(tmp_path: Path) -> None:
    recipe = RECIPE.replace({"data.validation": 0, "train.epochs": 1, "model.name": "mlp"})
    runs = [tenfold.train(each, runs=tmp_path) for each in tenfold.seeds(recipe, 2)]
    found = tenfold.ensemble(runs, runs=tmp_path).ensemble()
    assert [(each["temperature"], each["best"]) for each in found["members"]] == [(1.0, True), (1.0, False)]
    assert "without a validation split" in worth.ensemble(found)


@pytest.mark.parametrize(("change", "p", "expected"), [
    (0.02, 0.001, "Worth it if you can afford it"), (0.02, 0.3, "not shown to be better"),
    (-0.02, 0.001, "less accurate")])
def test_the_verdict_says_what_the_test_found(change: float, p: float, expected: str) -> None:
    member = {"run": "runs/a-1", "temperature": 1.0, "validation": 0.9, "best": True}
    test = {"images": 1000, "accuracy": 0.9 + change, "other": 0.9, "change": change, "low": change - 0.01,
            "high": change + 0.01, "p": p}
    sentence = worth.ensemble({"members": [member, {**member, "best": False}], "cost": 2.0, "test": test})
    assert expected in sentence
    assert "2.0 times the computation" in sentence


@pytest.mark.parametrize(("change", "reason"), [
    ({"data.seed": 1}, "has other data"), ({"data.classes": ["circle", "square"]}, "has other classes")])
def test_members_must_fit_together(change: dict, reason: str, members: list[Run], tmp_path: Path) -> None:
    other = tenfold.train(RECIPE.replace({"train.epochs": 1, "model.name": "mlp", **change}), runs=tmp_path / "other")
    with pytest.raises(UsageError, match=reason):
        tenfold.ensemble([members[0], other], runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_one_run_or_an_unfinished_one_is_refused(members: list[Run], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="received 1 run; expected at least 2"):
        tenfold.ensemble([members[0], members[0].path], runs=tmp_path / "runs")
    stopped = Run(Path(shutil.copytree(members[1].path, tmp_path / "stopped")))
    stopped.write_json("status.json", {"status": "stopped", "reason": "interrupted"})
    with pytest.raises(RunError, match="its status is 'stopped'"):
        tenfold.ensemble([members[0], stopped], runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_damaged_list_of_members_is_one_line(whole: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(whole.path, tmp_path / "run")))
    run.write_recipe(Recipe.from_dict({"model": {"name": "ensemble", "members": 3}}, unknown_model=True))
    run.write_json("status.json", {"status": "stopped", "reason": ""})
    with pytest.raises(RunError, match="is no list of runs"):
        ensembling.complete(run, None, False, None, None)  # type: ignore[arg-type]


def test_the_command_prints_the_scores_and_the_verdict(members: list[Run], tmp_path: Path) -> None:
    words = ["ensemble", *(str(member.path) for member in members), "--runs", str(tmp_path)]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["ensemble"]["members"]) == 2
    shown = CliRunner().invoke(app, words)
    assert "orth it" in shown.stdout
    assert "report" in shown.stdout
