"""Inspections on request, before a training, and with a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_images import digits, encoded, plant
from typer.testing import CliRunner
from watchers import Listen

from tenfold import jobs
from tenfold.cli import app
from tenfold.data import open_dataset
from tenfold.errors import UsageError
from tenfold.explanation import explain
from tenfold.inspection import CHEAP
from tenfold.jobs import checking
from tenfold.run import Run

OVERRIDES = {"train.epochs": 2, "train.precision": "float32", "train.early_stopping": "none", "data.group": "none"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in splits; five of the test images are also in training, one file is damaged, labels are changed."""
    images, labels = digits(300, 4)
    images = np.asarray(images).repeat(2, axis=1).repeat(2, axis=2)
    files = {f"{'test' if i % 5 == 0 else 'train'}/{labels[i]}/{i:03d}.png": encoded(images[i]) for i in range(300)}
    for i in range(0, 25, 5):
        files[f"train/{labels[i]}/again-{i}.png"] = encoded(images[i])
    for i in range(31, 100, 10):
        del files[f"train/{labels[i]}/{i:03d}.png"]
        files[f"train/{(labels[i] + 1) % 4}/wrong-{i}.png"] = encoded(images[i])
    files["train/1/cut.png"] = encoded(images[0])[:50]
    return plant(tmp_path_factory.mktemp("place"), {f"digits/{name}": content for name, content in files.items()})


@pytest.fixture(scope="module")
def trained(place: Path) -> tuple[Run, list[str]]:
    """A run on these digits, and what was said while it was trained."""
    listening = Listen()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(place / "cache"))
        run = jobs.train("cnn2", place / "digits", overrides=OVERRIDES, runs=place / "runs", watcher=listening)
    return run, listening.said


@pytest.fixture(autouse=True)
def cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(place / "cache"))


def test_training_tells_what_it_found_and_that_test_images_were_seen(trained: tuple[Run, list[str]]) -> None:
    run, said = trained
    assert [text for text in said if text.startswith("inspection: unreadable 1, leak 5")]
    kept = run.read_json("inspection.json")
    assert kept["seen_in_training"] == {"test": 5}
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Test split: 5 of its 60 images are the same or nearly the same as images in training" in page
    assert "Inspection of the images" in page
    others = "not looked for: near leak, label error, near duplicate, odd (<code>tenfold data check</code> does)"
    assert others in page.replace("\N{NO-BREAK SPACE}", " ")
    assert "5 of its 60 images" in (run.path / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_findings_name_the_splits_of_the_run_and_contradicted_test_images(tmp_path: Path) -> None:
    """The source has no splits: which images are test images is decided by the run."""
    images, labels = digits(60, 2)
    files = {f"{labels[i]}/{i:03d}.png": encoded(images[i]) for i in range(60)}
    plain = plant(tmp_path / "plain", dict(files))
    first = jobs.train("mlp", plain, overrides=OVERRIDES, runs=tmp_path / "runs").predictions("test")
    twice = open_dataset(str(plain)).train.names  # in the order of the classes
    assert len(first) == 12
    for i in range(60):  # every image also has the other label: some of the pairs are in the test split
        files[f"{1 - labels[i]}/other-{i:03d}.png"] = encoded(images[i])
    run = jobs.train("mlp", plant(tmp_path / "both", files), overrides=OVERRIDES, runs=tmp_path / "runs")
    kept = run.read_json("inspection.json")
    count = run.environment()["dataset"]["splits"]["test"]["count"]
    assert kept["contradicted"]["test"] == count
    conflicts = [each["words"] for each in kept["findings"] if each["kind"] == "conflict"]
    assert len(conflicts) == len(twice) == 60
    assert all(words.partition("; in ")[2] for words in conflicts)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert f"Test split: {count} of its {count} images have the same pixels as an image with another label" in page


def test_public_data_are_trained_on_without_inspection(tmp_path: Path) -> None:
    run = jobs.train("cnn2", "digits", overrides={**OVERRIDES, "data.train_size": 100}, runs=tmp_path)
    assert not run.has("inspection.json")


def test_very_many_images_are_not_inspected_before_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checking, "MOST", 100)
    listening = Listen()
    images, labels = digits(101, 4)
    run = jobs.train("mlp", (np.asarray(images), labels), overrides=OVERRIDES, runs=tmp_path, watcher=listening)
    assert not run.has("inspection.json")
    assert [said for said in listening.said if said.startswith("inspection: ")] == [
        "inspection: left out, because there are 101 images, more than 100; `tenfold data check` looks at them"]


def test_the_command_prints_json_and_strict_fails(place: Path) -> None:
    done = CliRunner().invoke(app, ["data", "check", str(place / "digits"), "--json", "--strict"])
    assert done.exit_code == 1
    shown = json.loads(done.stdout)
    kinds = {each["kind"] for each in shown["findings"]}
    assert {"unreadable", "leak", "label_error"} <= kinds
    assert [each["images"] for each in shown["findings"] if each["kind"] == "unreadable"] == [["train/1/cut.png"]]
    assert set(shown["findings"][0]) == {"kind", "images", "score", "words", "drop", "label"}
    assert shown["skipped"] == {}


def test_the_command_prints_a_table_and_writes_a_page(place: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["data", "check", str(place / "digits"), "--html", str(tmp_path / "page.html")])
    assert done.exit_code == 0
    assert "train/1/cut.png" in done.stdout
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_decisions_clean_the_data_of_a_run_and_it_names_them(place: Path, tmp_path: Path) -> None:
    _, found = jobs.check(place / "digits", needs=CHEAP)
    rows = [f"{name},drop," for each in found.of("leak", "unreadable") for name in each.drop]
    file = tmp_path / "decisions.csv"
    file.write_text("\n".join(["image,decision,label", *rows, ""]), encoding="utf-8")
    run = jobs.train("cnn2", place / "digits", overrides={**OVERRIDES, "data.exclude": str(file)}, runs=tmp_path)
    facts = run.environment()["dataset"]
    assert sum(each["reason"] == "dropped by decisions.csv" for each in facts["left_out"]) == 5
    assert run.read_json("inspection.json")["seen_in_training"] == {}
    assert run.recipe().data.exclude == str(file)
    assert jobs.evaluate(run)["test"]["count"] == 60
    file.write_text("image,decision,label\n", encoding="utf-8")
    with pytest.raises(Exception, match="has changed since training"):
        jobs.evaluate(run)


def test_what_an_earlier_check_found_is_told_before_a_training(place: Path, tmp_path: Path) -> None:
    jobs.check(place / "digits")
    listening = Listen()
    jobs.train("cnn2", place / "digits", overrides={**OVERRIDES, "train.epochs": 1}, runs=tmp_path, watcher=listening)
    assert [text for text in listening.said if text.startswith("inspection: ") and "label error" in text]


def test_a_run_brings_its_own_splits_features_and_probabilities(place: Path, trained: tuple[Run, list[str]]) -> None:
    run, _ = trained
    dataset, found = jobs.check(place / "digits", run=run)
    assert found.images == {name: len(split) for name, split in dataset.splits().items()}
    assert set(found.images) == {"train", "validation", "test"}
    assert found.skipped == {}
    assert run.read_json("inspection.json")["findings"] == [each.to_dict() for each in found.findings]
    result = explain(run, most=2, neighbours=0)
    assert all("label_suspected" in each for each in result.entries if "most-confident" in each["file"])


def test_a_run_on_other_data_is_refused(trained: tuple[Run, list[str]]) -> None:
    with pytest.raises(UsageError, match=r"^run: received \S*, which was trained on [^\n]*; expected a run on digits"):
        jobs.check("digits", run=trained[0])
