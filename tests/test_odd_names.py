"""Names of files in any script, or in none: commands show what they can of them, and never end in an error."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import tenfold
from tenfold.data.images import printable
from tenfold.recipe import Recipe
from tenfold.run import Run

RECIPE = {
    "data": {"source": "shapes:train=100,test=20,seed=1"},
    "model": {"name": "cnn", "filters": [8], "dense": [16]},
    "train": {"epochs": 1, "batch_size": 50},
}
NAMES = ["猫.png", os.fsdecode(b"caf\xe9.png"), "=1+1.png", "two\rlines.png", "한" * 60 + ".png"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tenfold.train(Recipe.from_dict(RECIPE, name="small"), runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in NAMES:
        try:
            Image.new("RGB", (50, 40), "red").save(folder / name)
        except OSError as error:
            pytest.skip(f"this file system takes no name {name!r}: {error}")
    return folder


def tenfold_in(encoding: str, *arguments: str, folder: Path) -> bytes:
    """What a command prints where standard output takes nothing but `encoding`; it tells of no error."""
    done = subprocess.run([sys.executable, "-m", "tenfold.cli", *arguments], capture_output=True, timeout=300,
                          cwd=folder, env={**os.environ, "PYTHONIOENCODING": encoding}, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith(b"tenfold: warning: ")]
    assert (done.returncode, said) == (0, [])  # red images are unlike the drawn shapes, which is a warning
    return done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
@pytest.mark.parametrize("command", [["recipes"], ["recipes", "cnn2"], ["data", "list"], ["recipes", "--json"]],
                         ids=" ".join)
def test_lists_are_shown_in_every_encoding(command: list[str], encoding: str, tmp_path: Path) -> None:
    said = tenfold_in(encoding, *command, folder=tmp_path).decode(encoding)
    replaced = "\\u" if "--json" in command else "?"  # JSON can escape what the terminal can't show
    assert (replaced in said) == (encoding == "ascii")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_predictions_are_shown_in_every_encoding(encoding: str, run: Run, photos: Path) -> None:
    said = tenfold_in(encoding, "predict", str(run.path), ".", folder=photos).decode(encoding)
    assert "caf?.png" in said
    assert ("猫.png" if encoding == "utf-8" else "?.png") in said


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_predictions_as_csv_are_a_row_each(encoding: str, run: Run, photos: Path) -> None:
    said = tenfold_in(encoding, "predict", str(run.path), *NAMES, "--csv", folder=photos).decode(encoding)
    rows = list(csv.reader(io.StringIO(said, newline="")))
    expected = [name.encode(encoding, "replace").decode(encoding) for name in NAMES]
    assert [row[0] for row in rows] == ["path", *("'=1+1.png" if name == "=1+1.png" else name for name in expected)]
    assert len({len(row) for row in rows}) == 1


def test_predictions_as_json_are_valid(run: Run, photos: Path) -> None:
    found = json.loads(tenfold_in("utf-8", "predict", str(run.path), *NAMES, "--json", folder=photos))
    assert [each["path"] for each in found] == [name.encode("utf-8", "replace").decode() for name in NAMES]


def test_images_with_odd_names_are_explained(run: Run, photos: Path) -> None:
    said = tenfold_in("utf-8", "explain", str(run.path), *NAMES, folder=photos)
    assert "caf?.png" in said.decode()
    folder = run.path / "explanations" / "images"
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    assert [each["path"] for each in index["pictures"]] == [printable(name) for name in NAMES]
    assert "caf?.png" in (folder / "index.html").read_text(encoding="utf-8")


def test_errors_about_odd_names_are_one_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "tenfold.cli", "predict", os.fsdecode(b"caf\xe9") + "-猫", "x.png"],
                          capture_output=True, timeout=300, cwd=tmp_path, check=False,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert done.stderr.startswith(b"tenfold: caf?-?: no such directory")
    assert done.stderr.count(b"\n") == 1
