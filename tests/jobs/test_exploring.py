"""Exploring as a command: the page, the plots, JSON, and bad input in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_images import drawn, encoded, plant
from typer.testing import CliRunner

from tenfold.cli import app


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))


def invoke(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["data", "explore", *words])
    return result.exit_code, result.stdout, result.stderr


def test_a_folder_becomes_a_page_and_plots(tmp_path: Path) -> None:
    files = {f"{'ab'[i % 2]}/{i:02d}.png": encoded(drawn(i)) for i in range(12)}
    files |= {"a/again.png": encoded(drawn(0)), "a/cut.png": encoded(drawn(50))[:99]}
    root = plant(tmp_path / "images", files)
    code, out, _ = invoke(str(root), "--out", str(tmp_path / "all.html"), "--plots", str(tmp_path / "plots"), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["counts"] == {"train": {"a": 7, "b": 6}}
    assert found["findings"]["duplicate"] == 1
    assert found["map"] == "PCA"
    assert found["bytes"] == (tmp_path / "all.html").stat().st_size
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(
        Path(path).name for path in found["plots"])
    code, out, _ = invoke(str(root), "--out", str(tmp_path / "again.html"))
    assert code == 0
    assert "13 images in 2 classes; findings: unreadable 1" in out
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "all.html").read_bytes()


def test_bad_input_takes_one_line_and_writes_nothing(tmp_path: Path) -> None:
    one = plant(tmp_path / "one", {f"a/{i}.png": np.full((8, 8, 3), i, np.uint8) for i in range(5)})
    page = tmp_path / "page.html"
    for words in ((str(one),), (str(tmp_path / "missing"),), ("digitz",), ("digits", "--set", "data.exclude=none.csv")):
        code, out, error = invoke(*words, "--out", str(page))
        assert code in (1, 2)
        assert out == ""
        assert [line for line in error.splitlines() if line.startswith("tenfold: ")] == error.splitlines()[-1:]
    assert invoke("digits", "--out", str(tmp_path / "page.png"))[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == []


def test_five_equal_images_make_a_page(tmp_path: Path) -> None:
    root = plant(tmp_path / "five", {f"{'ab'[i % 2]}/{i}.png": np.full((8, 8, 3), 9, np.uint8) for i in range(5)})
    code, out, _ = invoke(str(root), "--out", str(tmp_path / "five.html"))
    assert code == 0
    assert "5 images in 2 classes" in out
