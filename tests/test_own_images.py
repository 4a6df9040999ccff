"""A run on own images: trained, evaluated, resumed and explained, from any working directory, with damaged files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_images import digits, drawn, encoded, plant
from made_runs import calibrated
from PIL import Image

from tenfold import jobs, modelfile
from tenfold.data.images import read_image
from tenfold.errors import DataError, RunError, UsageError
from tenfold.explanation import explain
from tenfold.prediction import predict
from tenfold.recipe import Recipe
from tenfold.run import Run, State
from tenfold.runtimes import open_predictor

OVERRIDES = {"train.epochs": 2, "train.precision": "float32", "train.early_stopping": "none", "data.size": 16,
             "data.resize": "crop", "data.group": "none"}
BAD = 10  # of 200 images


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `photos` of 200 wide digits, every twentieth damaged."""
    images, labels = digits(200, 4)
    wide = [np.asarray(Image.fromarray(image).resize((24, 16))) for image in images]
    contents = {f"{label}/digit-{i:03d}.png": encoded(image) for i, (image, label) in
                enumerate(zip(wide, labels, strict=True))}
    damaged = {name: content[: 30 + i] for i, (name, content) in enumerate(list(contents.items())[::20])}
    assert len(damaged) == BAD
    return plant(tmp_path_factory.mktemp("place"), {f"photos/{k}": v for k, v in {**contents, **damaged}.items()})


@pytest.fixture(scope="module")
def trained(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was trained on "photos" in its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(place / "cache"))
        patch.chdir(place)
        return jobs.train(Recipe.load("cnn2", OVERRIDES), "photos", runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run(trained: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the run, used from another working directory."""
    monkeypatch.setenv("TENFOLD_CACHE", str(place / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.path, tmp_path / "copy" / trained.name)
    return Run.open(tmp_path / "copy" / trained.name)


def test_training_completes_and_the_report_names_the_damaged_files(run: Run, place: Path) -> None:
    assert run.status().state is State.FINISHED
    assert run.name == "cnn2-photos-1"
    facts = run.read_json("environment.json")["dataset"]
    assert (facts["uri"], facts["left_out_count"]) == (f"folder:{place}/photos", BAD)
    assert sum(split["count"] for split in facts["splits"].values()) == 200 - BAD
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert f"{BAD} files of the data set are not used." in page
    names = [file.relative_to(place / "photos").as_posix() for file in sorted(place.glob("photos/*/*.png"))
             if file.stat().st_size < 60]
    assert len(names) == BAD
    assert all(f"<th>{name}</th>" in page for name in names)


def test_a_run_is_evaluated_from_another_working_directory(run: Run) -> None:
    before = run.metrics()["test"]["accuracy"]
    assert jobs.evaluate(run)["test"]["accuracy"] == before


def test_a_run_is_resumed_from_another_working_directory(run: Run) -> None:
    resumed = jobs.resume(run, epochs=3)
    assert len(resumed.history()) == 3
    assert resumed.status().state is State.FINISHED


def test_the_errors_of_a_run_are_explained_from_another_working_directory(run: Run) -> None:
    assert explain(run, most=2, neighbours=1).index.exists()


def test_predictions_use_the_resizing_of_the_training(run: Run, place: Path) -> None:
    assert modelfile.facts(run.path / "model.keras")["resize"] == "crop"
    files = sorted(place.glob("photos/3/*.png"))[:6]
    pixels = np.stack([read_image(file, (16, 16, 1), resize="crop") for file in files if file.stat().st_size > 60])
    expected = calibrated(run, open_predictor(run).predict(pixels))
    found = [list(each.probabilities.values()) for each in predict(run, files) if each.error is None]
    assert np.allclose(found, expected, atol=1e-5)
    stretched = np.stack([read_image(file, (16, 16, 1)) for file in files if file.stat().st_size > 60])
    assert not np.allclose(calibrated(run, open_predictor(run).predict(stretched)), expected, atol=1e-3)


def test_a_table_of_pixels_without_labels_is_classified(run: Run, place: Path, tmp_path: Path) -> None:
    images, _ = digits(20, 4)
    header = ",".join(f"pixel{i}" for i in range(64))
    (tmp_path / "test.csv").write_text("\n".join([header, *(",".join(map(str, image.ravel())) for image in images)]))
    files = [plant(tmp_path, {f"{i}.png": image}) / f"{i}.png" for i, image in enumerate(images)]
    found, expected = predict(run, [tmp_path / "test.csv"], batch_size=8), predict(run, files)
    assert [str(each.path) for each in found[:2]] == [f"{tmp_path}/test.csv row 1", f"{tmp_path}/test.csv row 2"]
    assert [each.probabilities for each in found] == [each.probabilities for each in expected]
    (tmp_path / "paths.csv").write_text("file,label\n0.png,cat\n1,\n")
    assert [each.probabilities for each in predict(run, [tmp_path / "paths.csv"])] == [
        each.probabilities for each in expected[:2]]
    (tmp_path / "paths.csv").write_text("file,label\na.png,cat\n")
    with pytest.raises(DataError, match=r"^[^\n]*none of the columns file, label holds paths of images [^\n]*$"):
        predict(run, [tmp_path / "paths.csv"])


def test_images_are_explained_with_the_resizing_of_the_training(run: Run, place: Path) -> None:
    assert len(explain(run, sorted(place.glob("photos/3/*.png"))[2:4]).entries) == 2


def test_a_run_is_evaluated_on_other_images_in_its_own_shape_and_channels(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "more", {f"{i % 4}/{i}.jpg": drawn(i) for i in range(12)})
    metrics = jobs.evaluate(run, data=str(tmp_path / "more"), splits=("train",))
    assert metrics["more-train"]["count"] == 12
    plant(tmp_path / "other", {"cat/a.png": drawn(0), "3/b.png": drawn(1)})
    with pytest.raises(UsageError, match=r"classes that [^\n]* does not know: cat"):
        jobs.evaluate(run, data=str(tmp_path / "other"), splits=("train",))


@pytest.mark.parametrize("change", [
    lambda file: file.write_bytes(encoded(drawn(0)[..., 0])),
    lambda file: file.unlink(),
    lambda file: file.rename(file.parent.parent / "0" / file.name),
], ids=["another image", "a missing image", "another class"])
def test_a_run_refuses_images_that_have_changed(
    trained: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(place / "cache"))
    copy = Path(shutil.copytree(place / "photos", tmp_path / "photos"))
    shutil.copytree(trained.path, tmp_path / trained.name)
    recipe = tmp_path / trained.name / "recipe.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace(str(place), str(tmp_path)), encoding="utf-8")
    run = Run.open(tmp_path / trained.name)
    assert jobs.evaluate(run)["test"]["count"] > 0  # the same images in another place
    change(copy / "3" / next(file.name for file in sorted((copy / "3").iterdir()) if file.stat().st_size > 60))
    with pytest.raises(RunError, match=r"^[^\n]*has changed since training[^\n]*$"):
        jobs.evaluate(run)


def test_a_folder_with_only_test_images_is_evaluated(run: Run, place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "photos", tmp_path / "new/test")
    found = jobs.evaluate(run, data=tmp_path / "new")
    assert found["new-test"]["count"] == 200 - BAD
    with pytest.raises(DataError, match=r"^[^\n]*received no training images[^\n]*$"):
        jobs.train(Recipe.load("cnn2", OVERRIDES), tmp_path / "new", runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_all_images_of_a_folder_without_splits_are_evaluated(run: Run, place: Path) -> None:
    found = jobs.evaluate(run, data=place / "photos")
    assert found["photos-train"]["count"] == 200 - BAD
    assert sum(found["photos-train"]["data"]["overlap"].values()) == 200 - BAD
