"""`next`: the images to label next, as CSV and as a page, from nothing but a run."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import tenfold
from tenfold.cli import app
from tenfold.errors import ImageError, UsageError
from tenfold.recipe import Recipe
from tenfold.run import Run

RECIPE = Recipe.from_dict({
    "data": {"source": "shapes:train=240,test=60,seed=3"}, "model": {"name": "cnn", "filters": [4, 8], "dense": [16]},
    "train": {"epochs": 1, "batch_size": 20}}, name="small")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tenfold.train(RECIPE, runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """What a run needs for this: its model and its predictions."""
    path = tmp_path / "run"
    path.mkdir()
    for name in ("recipe.toml", "status.json", "environment.json", "metrics.json", "model.keras"):
        shutil.copy(trained.path / name, path / name)
    return Run(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, image in enumerate(tenfold.open_dataset(RECIPE.data.source).test.images[:12]):
        Image.fromarray(image).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def test_the_chosen_images_are_written_as_csv_and_page(run: Run, photos: Path) -> None:
    found = tenfold.next_images(run, photos, count=5)
    rows = list(csv.DictReader(found.csv.read_text(encoding="utf-8").splitlines()))
    assert [row["path"] for row in rows] == [row["path"] for row in found.rows]
    assert len({row["path"] for row in rows}) == 5
    assert found.given == 12
    assert len(found.unread) == 1
    predicted = {str(each.path): each for each in tenfold.predict(run, photos) if each.error is None}
    for row in found.rows:
        assert row["predicted"] == predicted[row["path"]].label
        assert row["margin"] == pytest.approx(row["probability"] - row["second_probability"], abs=2e-4)
    page = found.index.read_text(encoding="utf-8")
    assert all(Path(row["path"]).name in page for row in rows)
    assert "broken.png" in page


def test_arrays_are_chosen_from_too_and_the_seed_decides(run: Run) -> None:
    images = tenfold.open_dataset(RECIPE.data.source).test.images[:20]
    first, again, other = (tenfold.next_images(run, images, count=6, seed=seed).rows for seed in (0, 0, 1))
    assert first == again != other
    assert all(row["path"].startswith("image ") for row in first)


def test_bad_input_is_refused_and_leaves_nothing(run: Run, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected at least 1"):
        tenfold.next_images(run, photos, count=0)
    with pytest.raises(ImageError, match="broken"):
        tenfold.next_images(run, photos / "broken.png")
    with pytest.raises(ImageError, match="expected at least one"):
        tenfold.next_images(run, np.zeros((0, 32, 32, 3), np.uint8))
    assert not (run.path / "next").exists()
    result = CliRunner().invoke(app, ["next", str(run.path), str(tmp_path / "nothing")])
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_command_says_where_they_are(run: Run, photos: Path) -> None:
    words = ["next", str(run.path), str(photos), "--count", "3"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 1  # a file could not be read
    assert "broken.png" in shown.stderr
    assert "3 of 12 images to label next" in shown.stdout
    assert str(run.path / "next/next.csv") in shown.stdout
    listed = CliRunner().invoke(app, [*words, "--json"])
    assert [row["place"] for row in json.loads(listed.stdout)["images"]] == [1, 2, 3]
