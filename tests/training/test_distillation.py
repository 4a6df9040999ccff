"""A student learns the probabilities of its teacher, and its run says how much of the teacher is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner
from watchers import After, signalled

import tenfold
from drill.training import content
from tenfold import machine
from tenfold.cli import app
from tenfold.errors import RecipeError, RunError, UsageError
from tenfold.evaluation.predictions import read_predictions
from tenfold.recipe import Distillation, Recipe
from tenfold.report import worth
from tenfold.run import Run
from tenfold.runtimes.fast import fast
from tenfold.training import distillation
from tenfold.training.distillation import Teacher

DATA = "shapes:train=240,test=60,seed=3"
TEACHER = Recipe.from_dict({
    "data": {"source": DATA}, "model": {"name": "cnn", "filters": [8, 8], "dense": [16]},
    "train": {"epochs": 2, "batch_size": 20}}, name="teacher")
STUDENT = Recipe.from_dict({
    "data": {"source": DATA}, "model": {"name": "cnn", "filters": [4, 4], "dense": [8]},
    "train": {"epochs": 2, "batch_size": 20, "augment": {"mirror": {}}}}, name="student")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tenfold.train(TEACHER, runs=tmp_path_factory.mktemp("teacher"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_the_loss_mixes_labels_and_softened_probabilities(rng: np.random.Generator) -> None:
    stored, logits = (torch.from_numpy(rng.normal(size=(4, 3)).astype(np.float32)) for _ in range(2))
    index, labels = torch.tensor([2, 0]), torch.tensor(0.7)
    section = Distillation(teacher="t", weight=0.8, temperature=3.0)
    found = Teacher(section, stored, None, (8, 8)).loss(labels, logits[:2], index, torch.zeros(2, 3, 8, 8))
    soft = F.kl_div(F.log_softmax(logits[:2] / 3, 1), F.softmax(stored[index] / 3, 1), reduction="batchmean")
    entropy = -(F.softmax(stored[index] / 3, 1) * F.log_softmax(stored[index] / 3, 1)).sum(1).mean()
    assert float(found) == pytest.approx(0.2 * 0.7 + 0.8 * 9 * float(soft + entropy), rel=1e-5)


@pytest.mark.parametrize("augmented", [False, True])
def test_the_teachers_logits_are_those_of_its_model(augmented: bool, teacher: Run) -> None:
    train = tenfold.open_dataset(DATA).train
    dataset = tenfold.data.splits.prepare(tenfold.open_dataset(DATA), STUDENT.data)
    section = STUDENT.replace({"train.distillation.teacher": str(teacher.path),
                               "train.distillation.augmented": augmented}).train
    made = distillation.teacher(section, dataset, tenfold.Watcher())
    images = dataset.train.images[np.arange(5)]
    expected = fast(teacher).logits(images)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().to(machine.current().device)
    with torch.no_grad():
        assert made._logits(torch.arange(5), pixels).cpu().numpy() == pytest.approx(expected, abs=1e-4)
    assert len(train) > len(dataset.train)


def test_a_student_is_compared_with_its_teacher(teacher: Run, tmp_path: Path) -> None:
    run = tenfold.train(STUDENT, teacher=teacher, runs=tmp_path)
    assert run.recipe().train.distillation.teacher == str(teacher.path.absolute())
    assert run.environment()["teacher"]["run"] == str(teacher.path.absolute())
    found = run.distillation()
    labels, mine = read_predictions(run, "test")
    theirs = read_predictions(teacher, "test")[1]
    assert found["test"]["accuracy"] == (mine.argmax(axis=1) == labels).mean()
    assert found["test"]["other"] == (theirs.argmax(axis=1) == labels).mean()
    assert found["parameters"] < found["teacher_parameters"]
    assert f"its teacher {teacher.name}" in (run.path / "report.html").read_text(encoding="utf-8").replace("\xa0", " ")
    alone = tenfold.train(STUDENT, runs=tmp_path, name="alone")
    assert content(run) != content(alone)


def test_a_student_resumes_to_the_same_bits(teacher: Run, tmp_path: Path) -> None:
    whole = tenfold.train(STUDENT, teacher=teacher, runs=tmp_path, name="whole")
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(STUDENT, teacher=teacher, runs=tmp_path, name="stopped", watcher=After(2, 3, signalled()))
    run = Run.open(tmp_path / "stopped-1")
    assert content(tenfold.resume(run)) == content(whole)


def test_a_changed_teacher_is_refused(teacher: Run, tmp_path: Path) -> None:
    own = Run(Path(shutil.copytree(teacher.path, tmp_path / "own")))
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(STUDENT, teacher=own, runs=tmp_path, watcher=After(1, 3, signalled()))
    tenfold.resume(own, epochs=3)
    with pytest.raises(RunError, match="has changed since training began"):
        tenfold.resume(tmp_path / "student-shapes-1")


def test_a_teacher_of_other_splits_is_doubted() -> None:
    found = {"teacher": "runs/big-1", "parameters": 10, "teacher_parameters": 100, "same_data": False, "test": {
        "images": 100, "accuracy": 0.8, "other": 0.9, "change": -0.1, "low": -0.2, "high": 0.0, "p": 0.04}}
    sentence = worth.student(found)
    assert sentence.startswith("It keeps 88.9 % of the accuracy of its teacher big-1, with 10.0 % of its parameters")
    assert "may know these images" in sentence
    assert "is unknown" in worth.student({**found, "test": None})


@pytest.mark.parametrize(("change", "reason"), [
    ({"data.classes": ["circle", "square"]}, "has other classes"),
    ({"data.source": "shapes:train=240,test=60,seed=3,size=24"}, "has other image shape")])
def test_a_teacher_must_fit_the_data(change: dict, reason: str, teacher: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        tenfold.train(STUDENT.replace(change), teacher=teacher, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_settings_that_contradict_a_teacher_are_refused(teacher: Run, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="mixup blends images"):
        STUDENT.replace({"train.distillation.teacher": "t", "train.augment.mixup": True})
    with pytest.raises(RecipeError, match="learns from labels alone"):
        Recipe.from_dict({"model": {"name": "pretrained", "trainable": "none"}, "train": {
            "fit": "logistic-regression", "distillation": {"teacher": "t"}}})
    for model, head in (("all", {"epochs": 1}), ("none", None)):
        with pytest.raises(RecipeError, match="needs the images of each step"):
            Recipe.from_dict({"model": {"name": "pretrained", "trainable": model}, "train": {
                "head": head or "none", "distillation": {"teacher": "t", "augmented": True}}})
    stopped = Run(Path(shutil.copytree(teacher.path, tmp_path / "stopped")))
    stopped.write_json("status.json", {"status": "stopped", "reason": "interrupted"})
    with pytest.raises(RunError, match="its status is 'stopped'"):
        tenfold.train(STUDENT, teacher=stopped, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_command_takes_a_teacher(teacher: Run, tmp_path: Path) -> None:
    (tmp_path / "student.toml").write_text(STUDENT.dumps())
    words = ["train", str(tmp_path / "student.toml"), "--runs", str(tmp_path), "--name", "small"]
    result = CliRunner().invoke(app, [*words, "--teacher", str(teacher.path), "--set",
                                      "train.distillation.temperature=2"])
    assert result.exit_code == 0, result.output
    recorded = json.loads((tmp_path / "small-1/distillation.json").read_text(encoding="utf-8"))
    assert Path(recorded["teacher"]).name == teacher.name
    assert Run.open(tmp_path / "small-1").recipe().train.distillation.temperature == 2
    missing = CliRunner().invoke(app, [*words, "--teacher", str(tmp_path / "nothing")])
    assert missing.exit_code == 2
    assert len(missing.stderr.strip().splitlines()) == 1
