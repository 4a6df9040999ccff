"""`calibrate` fits rules on images that chose nothing else, tests them on test, and puts them into everything."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import tenfold
from tenfold import jobs, modelfile
from tenfold.decisions.rules import Rules
from tenfold.errors import RunError, UsageError
from tenfold.jobs.own_data import own_data
from tenfold.progress import SILENT
from tenfold.run import Run
from tenfold.runtimes import open_export, open_predictor

RECIPE = {"data": {"source": "digits", "validation": 600}, "model": {"name": "mlp", "hidden": [32]},
          "train": {"epochs": 4, "batch_size": 50, "precision": "float32"}}
EARLIER = Path(__file__).parents[1] / "earlier_runs" / "small-digits-1"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tenfold.train(RECIPE, runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(trained.path, tmp_path / "copy"))


def test_a_training_ends_with_rules_that_its_model_carries(trained: Run) -> None:
    decisions = trained.decisions()
    assert decisions["fitted"] == {"split": "calibration", "images": 300, "reason": ""}
    assert decisions["temperature"] == trained.calibration()["temperature"]
    assert [(each["level"], each["method"]) for each in decisions["sets"]] == [
        (0.9, "lac"), (0.9, "aps"), (0.95, "lac"), (0.95, "aps")]
    facts = modelfile.facts(trained.path / "model.keras")
    rules = Rules.read(facts)
    assert rules.to_dict(arrays=False) == {key: value for key, value in decisions.items() if key != "tested"}
    assert open_export(trained.path / "exports" / "model.onnx").facts["decisions"] == facts["decisions"]
    assert "Decisions" in (trained.path / "report.html").read_text(encoding="utf-8")
    assert (trained.path / "plots" / "answered.png").is_file()


def test_rules_fitted_again_without_the_answers_of_the_training_are_the_same(trained: Run, run: Run) -> None:
    again, first = jobs.calibrate(run), trained.decisions()
    for one, other in zip(again["sets"], first["sets"], strict=True):
        assert one["threshold"] == pytest.approx(other["threshold"], rel=1e-5)
        assert one["by_class"] == pytest.approx(other["by_class"], rel=1e-5)
    assert {**again["accepted"], "threshold": 0} == {**first["accepted"], "threshold": 0}
    assert again["unknown"]["threshold"] == pytest.approx(first["unknown"]["threshold"], rel=1e-4)
    assert again["tested"]["curve"]["accuracy"] == pytest.approx(first["tested"]["curve"]["accuracy"])


def test_the_thresholds_are_those_of_the_calibration_split_and_tested_on_test(trained: Run) -> None:
    dataset, predictor = own_data(trained, SILENT), open_predictor(trained)
    rules = Rules.read(modelfile.facts(trained.path / "model.keras"))
    logits, features = predictor.logits_and_features(dataset.calibration.images)
    p = rules.probabilities(logits)
    scores = np.sort(1 - p[np.arange(300), dataset.calibration.labels])
    assert rules.sets_at(0.9).marginal == pytest.approx(scores[271 - 1], abs=1e-6)  # ceil(301 × 0.9)
    found = rules.unknowns.found(logits, features, rules.statistics(np.asarray(dataset.calibration.images)))
    assert found.sum() <= 300 - 286  # ceil(301 × 0.95)
    tested = trained.decisions()["tested"]
    logits, features = predictor.logits_and_features(dataset.test.images)
    p, labels = rules.probabilities(logits), dataset.test.labels
    statistics = rules.statistics(np.asarray(dataset.test.images))
    accepted = np.array(rules.decide(p, logits, features, statistics)) == "accepted"
    assert tested["accepted"]["value"] == pytest.approx(accepted.mean())
    assert tested["accuracy"]["value"] == pytest.approx(trained.metrics()["test"]["accuracy"]["value"])
    shown = rules.sets_at(0.95).shown(p)[np.arange(len(labels)), labels]
    row, = (each for each in tested["sets"]
            if (each["level"], each["method"], each["by_class"]) == (0.95, "lac", False))
    assert row["coverage"]["value"] == pytest.approx(shown.mean())
    assert {each["decision"] for each in tested["examples"]} <= {"unsure", "unknown"}


def test_noise_is_unknown_to_a_run_and_to_its_exports(trained: Run) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), np.uint8)
    for model in (trained, trained.path / "exports" / "model.onnx"):
        assert {each.decision for each in tenfold.predict(model, noise)} == {"unknown"}


def test_levels_and_accuracy_are_fitted_on_request(run: Run) -> None:
    before = open_predictor(run, "keras").predict(np.zeros((1, 8, 8, 1), np.uint8))
    found = jobs.calibrate(run, levels=[0.8], accuracy=0.85, false_rejects=0.1)
    assert {each["level"] for each in found["sets"]} == {0.8, 0.9, 0.95}
    assert (found["accepted"]["accuracy"], found["unknown"]["false_rejects"]) == (0.85, 0.1)
    assert found["accepted"]["threshold"] is not None
    assert found == json.loads((run.path / "decisions.json").read_text(encoding="utf-8"))
    facts = modelfile.facts(run.path / "model.keras")["decisions"]
    assert facts["accepted"] == open_export(run.path / "exports" / "model.onnx").facts["decisions"]["accepted"]
    np.testing.assert_array_equal(open_predictor(run, "keras").predict(np.zeros((1, 8, 8, 1), np.uint8)), before)
    assert jobs.calibrate(run)["accepted"]["accuracy"] >= 0.9


class Killed(BaseException):
    """Ends a calibration before a write, as the end of its process would."""


@pytest.mark.parametrize("before", ["model.keras", "decisions.json", "exports/model.onnx"])
def test_a_killed_calibration_leaves_no_parts_that_disagree(run: Run, monkeypatch: pytest.MonkeyPatch,
                                                            before: str) -> None:
    blank = np.zeros((1, 8, 8, 1), np.uint8)
    (run.path / "exports" / "model.html").write_text("with the former rules")
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if str(target) == str(run.path / before):
            raise Killed
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Killed):
        jobs.calibrate(run, accuracy=0.85)
    monkeypatch.undo()
    interrupted = before in ("model.keras", "decisions.json")
    assert run.has("decisions.json") is not interrupted
    assert not run.has("report.html")
    cautions = tenfold.predict(run, blank).rule_cautions
    assert any(f"fit them again with `tenfold calibrate {run.path}`" in each for each in cautions) is interrupted
    _check_agreement(run)
    jobs.calibrate(run, accuracy=0.85)
    _check_agreement(run)
    assert run.has("decisions.json")
    assert run.has("report.html")
    assert run.has("exports/model.onnx")
    assert tenfold.predict(run, blank).rule_cautions == []


def _check_agreement(run: Run) -> None:
    """Every part of a run that holds decision rules holds those of its model."""
    facts = modelfile.facts(run.path / "model.keras")
    if run.has("decisions.json"):
        found = {key: value for key, value in run.decisions().items() if key != "tested"}
        assert found == Rules.read(facts).to_dict(arrays=False)
    assert {path.name for path in (run.path / "exports").glob("*")} <= {"model.onnx", "model.onnx.json"}
    if run.has("exports/model.onnx"):
        assert open_export(run.path / "exports" / "model.onnx").facts["decisions"] == facts["decisions"]


@pytest.mark.parametrize(("values", "reason"), [
    ({"accuracy": 1.0}, "accuracy: received 1.0"), ({"accuracy": 1 - 1e-16}, "accuracy: received 0.9999999999999999"),
    ({"levels": ["a"]}, "levels: received 'a'"), ({"accuracy": "0.9"}, "accuracy: received '0.9'"),
    ({"false_rejects": 1e-17}, "false_rejects: received 1e-17"), ({"levels": [0.9, 0]}, "levels: received 0"),
    ({"false_rejects": 2}, "false_rejects: received 2"),
])
def test_a_value_outside_its_range_is_one_line_and_changes_nothing(run: Run, values: dict, reason: str) -> None:
    before = (run.path / "model.keras").read_bytes()
    with pytest.raises(UsageError, match=f"^{reason}; expected a fraction between 0 and 1, as in 0.99$"):
        jobs.calibrate(run, **values)
    assert (run.path / "model.keras").read_bytes() == before


def test_a_run_from_before_gets_rules_that_guarantee_nothing(tmp_path: Path) -> None:
    run = Run.open(shutil.copytree(EARLIER, tmp_path / "earlier"))
    dataset = own_data(run, SILENT)
    assert dataset.calibration is None
    prediction, = tenfold.predict(run, np.asarray(dataset.test.images[:1]))
    assert (prediction.set, prediction.decision) == (None, None)
    found = jobs.calibrate(run)
    assert found["fitted"]["split"] == "validation"
    assert "no images were held out" in found["fitted"]["reason"]
    assert (found["accepted"]["threshold"], found["accepted"]["needed"]) == (None, 299)
    predictions = tenfold.predict(run, np.asarray(dataset.test.images[:3]))
    assert {each.decision for each in predictions} <= {"unsure", "unknown"}
    assert all(predictions[0].label in each.set for each in predictions[:1])
    assert "no images were held out" in predictions.rule_cautions[0]


def test_a_run_without_validation_has_no_rules(tmp_path: Path) -> None:
    recipe = {**RECIPE, "data": {"source": "shapes:train=60,test=20", "validation": 0},
              "train": {"epochs": 1, "batch_size": 20, "precision": "float32"}}
    run = tenfold.train(recipe, runs=tmp_path)
    assert not run.has("decisions.json")
    with pytest.raises(RunError, match="no validation predictions"):
        jobs.calibrate(run)
    assert not run.has("decisions.json")
    image = np.zeros((32, 32, 3), np.uint8)
    caution, = tenfold.predict(run, image).rule_cautions
    assert caution.endswith("it can't tell when not to answer; they need a validation split (`data.validation`)")
    for level, reason in ((0.9, "it was trained without a validation split"), (0, "a fraction between 0 and 1")):
        with pytest.raises(UsageError, match=f"^level: received {level}; .*{reason}"):
            tenfold.predict(run, image, level=level)


def test_a_tiny_validation_split_says_what_it_can_not_hold(tmp_path: Path) -> None:
    recipe = {**RECIPE, "data": {"source": "shapes:train=60,test=20", "validation": 6},
              "train": {"epochs": 1, "batch_size": 20, "precision": "float32"}}
    run = tenfold.train(recipe, runs=tmp_path)
    decisions = run.decisions()
    assert (decisions["sets"], decisions["unknown"]) == ([], None)
    assert decisions["refused"] == [{"level": 0.9, "needed": 9}, {"level": 0.95, "needed": 19}]
    assert decisions["unknown_refused"].endswith("; it needs 13 more")
    prediction, = tenfold.predict(run, np.zeros((32, 32, 3), np.uint8))
    assert (prediction.set, prediction.decision) == (None, "unsure")
    with pytest.raises(UsageError, match=r"^level: received 0\.95; it needs 19 calibration images, and there are \d; "
                                         "the model has no prediction sets$"):
        tenfold.predict(run, np.zeros((32, 32, 3), np.uint8), level=0.95)
