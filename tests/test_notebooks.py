"""Values in notebooks: what they show, and data frames."""

from __future__ import annotations

import builtins
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_runs import DIGITS, digits, material, run_of

import tenfold
from tenfold.errors import MissingExtraError
from tenfold.notebooks import table
from tenfold.prediction import Prediction, Predictions
from tenfold.run import Run


class Text(HTMLParser):
    """The cells and preformatted lines of a fragment; every element is closed."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(fragment)
        assert not self.open

    def handle_starttag(self, tag: str, _: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.cells.append(data)


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    images, labels = digits()
    return [run_of(tmp_path, material(images, labels, DIGITS, seed=seed), f"{name}-digits")
            for seed, name in enumerate(("cnn", "mlp"))]


PREDICTIONS = Predictions([Prediction(Path("<b>.png"), "cat", {"cat": 0.75, "dog": 0.25}),
                           Prediction(None, None, {}, "can't be read", number=2)])


def test_a_run_shows_its_status_and_its_accuracy(runs: list[Run]) -> None:
    cells = Text(runs[0]._repr_html_()).cells
    value = runs[0].metrics()["test"]["accuracy"]
    assert cells[cells.index("status") + 1] == "finished"
    assert cells[cells.index("test accuracy") + 1].startswith(f"{100 * value['value']:.1f} % ({100 * value['low']:.1f}")


def test_a_damaged_run_is_shown_as_far_as_it_goes(runs: list[Run]) -> None:
    for name in ("environment.json", "metrics.json", "status.json"):
        (runs[0].path / name).write_text("{", encoding="utf-8")
        assert str(runs[0].path) in Text(runs[0]._repr_html_()).cells


def test_a_leaderboard_shows_its_models_and_pairs(runs: list[Run]) -> None:
    board = tenfold.compare(runs)
    cells = Text(board._repr_html_()).cells
    assert [line.split()[0] for line in str(board).splitlines()[:3]] == ["model", *(row.model for row in board)]
    assert {"cnn", "mlp", "tied", "better"} <= set(cells)


def test_a_recipe_shows_its_keys() -> None:
    shown = "".join(Text(tenfold.Recipe.load("mlp")._repr_html_()).cells)
    assert "[train]" in shown
    assert "learning_rate" in shown


def test_predictions_show_class_and_probability_and_escape_names(runs: list[Run]) -> None:
    assert [each.probability for each in PREDICTIONS] == [0.75, None]
    assert Text(PREDICTIONS._repr_html_()).cells[4:] == ["<b>.png", "cat", "75.0 %", "image 2", "can't be read"]
    stored = runs[0].predictions("test")
    cells = Text(stored._repr_html_()).cells
    assert cells[:4] == ["image", "true class", "predicted class", "probability"]
    assert "… 40 more …" in cells
    assert stored == runs[0].predictions("test")


def test_a_long_table_leaves_out_the_middle() -> None:
    cells = Text(table(("n",), [(i,) for i in range(1000)])).cells
    assert (cells[1], cells[-1], len(cells)) == ("0", "999", 62)


def test_data_frames(runs: list[Run]) -> None:
    stored = runs[0].predictions("test")
    frame = stored.to_pandas()
    assert list(frame.columns) == stored.column_names
    assert len(frame) == len(stored) == 100
    assert PREDICTIONS.to_pandas()["path"].tolist() == ["<b>.png", "image 2"]
    assert tenfold.compare(runs).to_pandas()["model"].tolist()


def test_without_pandas_one_line_says_so(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    for value in (runs[0].predictions("test"), PREDICTIONS, tenfold.compare(runs)):
        with pytest.raises(MissingExtraError, match="pip install pandas"):
            value.to_pandas()
