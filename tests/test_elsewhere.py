"""`drift`: what a model is worth on images without labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import tenfold
from tenfold.cli import app
from tenfold.data import Dataset, open_dataset
from tenfold.errors import ImageError, RunError, UsageError
from tenfold.evaluation.corruptions import corruption
from tenfold.recipe import Recipe
from tenfold.run import Run

DATA = "shapes:train=1500,test=400,seed=3,difficulty=0.3"
RECIPE = Recipe.from_dict({
    "data": {"source": DATA, "validation": 0.3}, "model": {"name": "cnn", "filters": [8, 16], "dense": [32]},
    "train": {"epochs": 5, "batch_size": 30, "learning_rate": 3e-3}}, name="small")
EARLIER = Path(__file__).parent / "earlier_runs/small-digits-1"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return open_dataset(DATA)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tenfold.train(RECIPE, runs=tmp_path_factory.mktemp("runs"))


def accuracy(run: Run, images: np.ndarray, labels: np.ndarray) -> float:
    classes = run.classes()
    return float(np.mean([each.label == classes[label] for each, label in
                          zip(tenfold.predict(run, images), labels, strict=True)]))


@pytest.mark.parametrize("severity", [0, 2])
def test_the_interval_holds_the_accuracy(severity: int, run: Run, dataset: Dataset) -> None:
    images = dataset.test.images[:]
    images = corruption("gaussian_noise")(images, severity) if severity else images
    found = tenfold.drift(run, images).found
    assert found["images"] == len(images)
    assert found["accuracy"]["tells"]
    assert found["accuracy"]["low"] <= accuracy(run, images, dataset.test.labels) <= found["accuracy"]["high"]
    assert found["reference"]["accuracy"]["value"] == run.metrics()["validation"]["accuracy"]["value"]


def test_everything_is_written_as_a_page_and_for_programs(run: Run, dataset: Dataset) -> None:
    result = tenfold.drift(run, dataset.test.images[:60])
    assert json.loads((run.path / "drift/index.json").read_text(encoding="utf-8")) == result.found
    page = result.index.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    for part in ("Verdict", "Class proportions", "Least familiar images", *run.classes()):
        assert part in page
    assert len(result.found["new"]["images"]) == 24
    distances = [each["distance"] for each in result.found["new"]["images"]]
    assert distances == sorted(distances, reverse=True)


def test_a_changed_share_of_a_class_is_found(run: Run, dataset: Dataset) -> None:
    labels = dataset.test.labels
    chosen = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels != 0)[:20]])
    rows = tenfold.drift(run, dataset.test.images[chosen]).found["classes"]
    assert rows[0]["changed"]
    assert rows[0]["after"] > rows[0]["before"]
    same = tenfold.drift(run, dataset.test.images[:]).found["classes"]
    assert sum(row["changed"] for row in same) <= 1


def test_noise_in_the_place_of_images_looks_new_and_can_not_be_judged(run: Run, rng: np.random.Generator) -> None:
    noise = rng.integers(0, 256, (80, *run.environment().shape), np.uint8)
    found = tenfold.drift(run, noise).found
    assert found["new"]["fraction"] > 0.5
    assert not found["accuracy"]["tells"]
    assert "Can&#39;t tell" in (run.path / "drift/index.html").read_text(encoding="utf-8")


def test_few_images_can_not_be_judged(run: Run, dataset: Dataset) -> None:
    found = tenfold.drift(run, dataset.test.images[:3]).found
    assert "3 images" in found["accuracy"]["reasons"][0]


def test_another_reference_takes_the_place_of_the_validation_split(run: Run, dataset: Dataset) -> None:
    found = tenfold.drift(run, dataset.test.images[:100], reference=DATA).found
    assert found["reference"]["images"] == len(dataset.test)
    assert found["reference"]["accuracy"]["value"] == pytest.approx(run.metrics()["test"]["accuracy"]["value"])
    with pytest.raises(UsageError, match="does not know"):
        tenfold.drift(run, dataset.test.images[:9], reference="digits")


def test_a_run_without_validation_split_needs_a_reference(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    bare = Run(Path(shutil.copytree(run.path, tmp_path / "bare")))
    (bare.path / "predictions/validation.parquet").unlink()
    shutil.rmtree(bare.path / "drift", ignore_errors=True)
    with pytest.raises(RunError, match="give some with --reference DATA"):
        tenfold.drift(bare, dataset.test.images[:50])
    assert not (bare.path / "drift").exists()
    assert tenfold.drift(bare, dataset.test.images[:50], reference=DATA).found["images"] == 50


def test_a_run_from_before_this_command_is_judged_too(tmp_path: Path) -> None:
    earlier = Path(shutil.copytree(EARLIER, tmp_path / "run"))
    images = open_dataset("digits").train.images[:100]
    assert tenfold.drift(earlier, images).found["images"] == 100


def test_the_command_prints_the_verdict_and_names_what_it_could_not_read(
    run: Run, dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, image in enumerate(dataset.test.images[:40]):
        Image.fromarray(image).save(folder / f"{i}.png")
    shown = CliRunner().invoke(app, ["drift", str(run.path), str(folder)])
    assert shown.exit_code == 0, shown.output
    assert {line.partition(" ")[0] for line in shown.stdout.splitlines()} == {
        "reference", "estimate", "classes", "new", "page"}
    (folder / "broken.png").write_bytes(b"no image")
    broken = CliRunner().invoke(app, ["drift", str(run.path), str(folder), "--json"])
    assert broken.exit_code == 1
    assert "broken.png" in broken.stderr
    assert json.loads(broken.stdout)["images"] == 40
    with pytest.raises(ImageError, match="broken"):
        tenfold.drift(run, folder / "broken.png")
