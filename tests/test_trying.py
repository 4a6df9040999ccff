"""`tenfold try`: photos in, a first verdict out."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tenfold import jobs
from tenfold.cli import app
from tenfold.errors import UsageError
from tenfold.recipe import Recipe
from tenfold.run import Run

SMALL = ["--set", "model.image_size=32"]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two classes of ten images, noise on a bright or dark ground, and one damaged file."""
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for label, ground in (("day", 180), ("night", 40)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(10):
            pixels = np.clip(rng.normal(ground, 30, (40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{i}.jpg")
    (tmp_path / "photos" / "day" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    return tmp_path / "photos"


def tried(*words):
    result = CliRunner().invoke(app, ["try", *map(str, words), *SMALL], prog_name="tenfold")
    assert result.exit_code == 0, result.output
    return result.stdout


def test_photos_become_a_run_with_a_learning_curve(photos, tmp_path):
    found = json.loads(tried(photos, "--runs", tmp_path / "runs", "--json"))
    run = Run.open(found["run"])
    assert run.name == "try-photos-1"
    assert found["test"]["accuracy"]["value"] >= 0.5
    assert [each["name"] for each in found["left_out"]] == ["day/broken.jpg"]
    curve = run.learning_curve()
    assert curve["points"][-1]["images"] == run.environment()["dataset"]["splits"]["train"]["count"]
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert ("would change the accuracy" in page) or ("too few training images" in page)


def test_the_verdict_says_what_so_few_images_can_tell(photos, tmp_path):
    for path in photos.glob("*/[5-9].jpg"):
        path.unlink()
    printed = tried(photos, "--runs", tmp_path / "runs")
    assert "on 2 test images in 2 classes" in printed
    assert "only 2 images: intervals are wide" in printed
    assert "too few training images to estimate" in printed
    assert "tenfold predict" in printed


def test_five_photos_have_a_verdict_without_a_curve(photos, tmp_path):
    for path in [*photos.glob("day/[3-9].jpg"), *photos.glob("night/[2-9].jpg")]:
        path.unlink()
    printed = tried(photos, "--runs", tmp_path / "runs")
    assert "on 1 test image in 1 of 2 classes" in printed
    assert not (tmp_path / "runs" / "try-photos-1" / "learning_curve.json").exists()


def test_the_next_step_keeps_the_decisions_about_images(photos, tmp_path):
    decisions = tmp_path / "my decisions.csv"
    decisions.write_text("image,decision,label\nday/1.jpg,drop,\n", encoding="utf-8")
    printed = tried(photos, "--runs", tmp_path / "runs", "--set", f"data.exclude={decisions}")
    assert f"--set 'data.exclude={decisions}'" in " ".join(printed.split())


def test_another_recipe_needs_frozen_features(photos, tmp_path):
    with pytest.raises(UsageError, match=r"needs train\.fit=logistic-regression"):
        jobs.try_images(photos, Recipe.load("mlp", {"train.epochs": 1, "data.size": 8}), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_without_a_test_split_the_verdict_is_that_of_validation(photos, tmp_path):
    printed = tried(photos, "--runs", tmp_path / "runs", "--set", "data.test=0")
    assert "on 4 validation images in 2 classes" in printed
    found = json.loads(tried(photos, "--runs", tmp_path / "runs", "--set", "data.test=0", "--json"))
    assert found["test"] is found["learning_curve"] is None


@pytest.mark.parametrize("format", ["tflite", "html"])
def test_a_format_that_cannot_be_written_is_refused_before_any_training(photos, tmp_path, monkeypatch, format):
    monkeypatch.setattr("tenfold.export.page.runtime.PACKAGED", tmp_path / "nowhere")
    result = CliRunner().invoke(app, ["try", str(photos), "--export", format, "--runs", str(tmp_path / "runs")])
    assert result.exit_code in (1, 2)
    assert "tflite" in result.stderr or "onnxruntime-web" in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_logistic_regression_has_no_epochs_to_add(photos, tmp_path):
    run = Run.open(json.loads(tried(photos, "--runs", tmp_path / "runs", "--json"))["run"])
    before = sorted(path.name for path in run.path.iterdir())
    with pytest.raises(UsageError, match=r"a logistic regression, which has no epochs"):
        jobs.resume(run, 3)
    assert sorted(path.name for path in run.path.iterdir()) == before


def test_a_resumed_verdict_has_its_learning_curve_too(photos, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    recipe = Recipe.from_dict(jobs.trying.try_sections(), name="try", overrides={"model.image_size": 32})
    with monkeypatch.context() as patch:
        patch.setattr("tenfold.jobs.verdicts.judge", interrupted)  # after the curve was measured
        with pytest.raises(KeyboardInterrupt):
            jobs.try_images(photos, recipe, runs=tmp_path / "runs")
    run = jobs.resume(tmp_path / "runs" / "try-photos-1")
    assert run.learning_curve()["points"]
    assert "Learning curve" in (run.path / "report.html").read_text(encoding="utf-8")
