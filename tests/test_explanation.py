"""`explain`: pictures and an index of a run's errors, or of images with nothing but the run."""

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
from tenfold.data import open_dataset
from tenfold.decisions.temperature import at_temperature
from tenfold.errors import ImageError, RunError, UsageError
from tenfold.recipe import Recipe
from tenfold.run import Run

RECIPE = {
    "data": {"source": "shapes:train=500,test=60,seed=1", "validation": 200},
    "model": {"name": "cnn", "filters": [8, 8], "dense": [16]},
    "train": {"epochs": 1, "batch_size": 50},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tenfold.train(Recipe.from_dict(RECIPE, name="small"), runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(trained.path, tmp_path / "run")))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name, colour in (("red", "red"), ("blue", "blue")):
        Image.new("RGB", (50, 40), colour).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path / "photos"


def test_errors_are_explained_with_galleries_and_an_index(run: Run) -> None:
    result = tenfold.explain(run, most=3, neighbours=2)
    assert result.path == run.path / "explanations/errors"
    index = json.loads((result.path / "index.json").read_text(encoding="utf-8"))
    files = {path.name for path in result.path.iterdir()}
    assert files == {"index.html", "index.json", *(each["file"] for each in index["pictures"])}
    table, dataset = run.predictions("test"), open_dataset(RECIPE["data"]["source"])
    p = np.stack([table[f"p_{name}"].to_numpy() for name in dataset.classes], axis=1)
    p = at_temperature(p, run.decisions()["temperature"])
    wrong = p.argmax(axis=1) != dataset.test.labels
    errors = [each for each in index["pictures"] if "predicted" in each]
    assert [each["file"] for each in errors] == [
        *(f"most-confident-{i:02d}.png" for i in (1, 2, 3)), *(f"least-confident-{i:02d}.png" for i in (1, 2, 3))]
    assert errors[0]["probability"] == pytest.approx(p[wrong].max())
    assert errors[3]["probability"] == pytest.approx(p[wrong].max(axis=1).min())
    for each in errors:
        assert each["true"] == dataset.classes[dataset.test.labels[each["index"]]] != each["predicted"]
        assert each["grad_cam"] == [each["predicted"], each["true"]]
        assert len(each["neighbours"]) == 2
    assert sum(pair["images"] for pair in index["confused_pairs"]) == wrong.sum()
    assert [each["class"] for each in index["pictures"][6:]] == list(dataset.classes)
    for each in index["pictures"]:
        with Image.open(result.path / each["file"]) as picture:
            picture.verify()


def test_explaining_images_needs_only_the_run(trained: Run, photos: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("recipe.toml", "status.json", "model.keras"):
        shutil.copy(trained.path / name, bare / name)
    result = tenfold.explain(Run.open(bare), [photos])
    assert [Path(each["path"]).name for each in result.entries] == ["blue.png", "red.png"]
    assert all(len(set(each["grad_cam"])) == 2 for each in result.entries)
    assert result.entries[0]["grad_cam"][0] == result.entries[0]["predicted"]
    expected = tenfold.predict(Run.open(bare), [photos])
    assert [each["predicted"] for each in result.entries] == [each.label for each in expected]
    assert {path.name for path in result.path.iterdir()} == {
        "image-001.png", "image-002.png", "index.html", "index.json"}


def test_errors_have_the_probabilities_that_predict_states(run: Run, tmp_path: Path) -> None:
    """Calibrated by the decision rules, as in `predict`: not those of the model, which the metrics are about."""
    assert run.decisions()["temperature"] != pytest.approx(1, abs=0.01)
    entries = [each for each in tenfold.explain(run, most=4).entries if "predicted" in each]
    images = open_dataset(RECIPE["data"]["source"]).test.images
    stated = tenfold.predict(run, [images[each["index"]] for each in entries])
    assert [each["probability"] for each in entries] == pytest.approx([each.probability for each in stated], abs=1e-5)


def test_a_new_explanation_replaces_the_old_one(run: Run, photos: Path) -> None:
    tenfold.explain(run, [photos])
    again = tenfold.explain(run, [photos / "red.png"])
    assert {path.name for path in again.path.iterdir()} == {"image-001.png", "index.html", "index.json"}
    assert [path.name for path in again.path.parent.iterdir()] == ["images"]


def test_an_unreadable_image_is_reported_and_the_others_are_explained(run: Run, photos: Path) -> None:
    (photos / "broken.png").write_bytes(b"no image")
    result = tenfold.explain(run, [photos])
    assert [Path(each["path"]).name for each in result.entries] == ["blue.png", "red.png"]
    assert len(result.unread) == 1
    assert "broken.png" in result.unread[0]
    outcome = CliRunner().invoke(app, ["explain", str(run.path), str(photos)])
    assert outcome.exit_code == 1
    assert "red.png" in outcome.stdout
    with pytest.raises(ImageError, match=r"broken\.png"):
        tenfold.explain(run, [photos / "broken.png"])
    with pytest.raises(UsageError, match="no such file"):
        tenfold.explain(run, [photos / "missing.png"])


def test_arrays_pillow_images_and_bytes_are_explained(run: Run, photos: Path) -> None:
    red = Image.open(photos / "red.png")
    result = tenfold.explain(run, [red, np.asarray(red), (photos / "blue.png").read_bytes(), photos / "red.png"])
    assert [each["path"] for each in result.entries] == ["image 1", "image 2", "image 3", str(photos / "red.png")]
    first, second, _, fourth = result.entries
    assert [second["probability"], fourth["probability"]] == pytest.approx([first["probability"]] * 2)
    assert len(tenfold.explain(run, np.zeros((3, 32, 32, 3), np.uint8)).entries) == 3
    with pytest.raises(UsageError, match="received an int; expected a path"):
        tenfold.explain(run, 7)


def test_without_convolution_images_are_refused_and_errors_lack_grad_cam(
    tmp_path: Path, photos: Path
) -> None:
    recipe = Recipe.from_dict({**RECIPE, "model": {"name": "mlp", "hidden": [8]}}, name="flat")
    run = tenfold.train(recipe, runs=tmp_path / "runs")
    outcome = CliRunner().invoke(app, ["explain", str(run.path), str(photos)])
    assert outcome.exit_code == 2
    assert outcome.output.count("\n") == 1
    assert "no convolution" in outcome.output
    assert not (run.path / "explanations").exists()
    result = tenfold.explain(run, most=2, neighbours=1)
    assert [each["grad_cam"] for each in result.entries[:4]] == [[]] * 4
    assert "there is no Grad-CAM" in result.index.read_text(encoding="utf-8")
    assert "there is no Grad-CAM" in (run.path / "report.html").read_text(encoding="utf-8")


def test_missing_test_predictions_are_not_replaced_by_validation(run: Run) -> None:
    (run.path / "predictions/test.parquet").unlink()
    with pytest.raises(RunError, match="no predictions of its test split; create them with `tenfold evaluate"):
        tenfold.explain(run)


def test_a_run_without_predictions_or_with_other_data_is_refused(run: Run) -> None:
    for name in ("test", "validation"):
        (run.path / f"predictions/{name}.parquet").unlink()
    with pytest.raises(RunError, match="tenfold evaluate"):
        tenfold.explain(run)
    environment = run.read_json("environment.json")
    environment["dataset"]["fingerprint"] = "0" * 64
    run.write_json("environment.json", environment)
    with pytest.raises(RunError, match="has changed since training"):
        tenfold.explain(run)


def test_the_command_prints_the_path_of_the_index(run: Run) -> None:
    outcome = CliRunner().invoke(app, ["explain", str(run.path), "--most", "1", "--neighbours", "0"])
    assert outcome.exit_code == 0, outcome.output
    assert "most-confident-01.png" in outcome.stdout
    assert "explanations/errors/index.html" in outcome.stdout
    outcome = CliRunner().invoke(app, ["explain", str(run.path), "--most", "1", "--neighbours", "0", "--json"])
    entry = json.loads(outcome.stdout)["pictures"][0]
    assert entry["neighbours"] == []
