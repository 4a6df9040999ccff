"""Short versions of the drill: every row of docs/reliability.md, with smaller counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import drill
from drill import overhead, page
from drill.training import Ground
from tenfold.recipe import Recipe

COUNTS = {"kill": 1, "kill-checkpoint": 1, "kill-repeatedly": 1, "stop": 3, "damage": 12, "disk-full": 2, "starts": 4,
          "downloads": 4, "search-kill": 2, "search-processes": 9, "search-cluster": 1}
DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(tmp_path_factory.mktemp("drill"))


def test_every_drill_has_a_short_version() -> None:
    assert set(drill.rows()) - set(COUNTS) == {"overhead"}


@pytest.mark.parametrize("name", COUNTS)
def test_a_short_drill_finds_no_problem(name: str, ground: Ground) -> None:
    tally = drill.rows()[name].run(ground, COUNTS[name])
    if tally.skipped:
        pytest.skip(tally.skipped)
    assert not tally.problems
    assert tally.met


def test_the_time_fraction_of_checkpoints_is_measured(tmp_path: Path) -> None:
    recipe = Recipe.load("mlp", {"train.epochs": 2, "train.early_stopping": "none", "model.hidden": 16})
    share, saves, seconds = overhead.measure(recipe, "digits", tmp_path)
    assert 0 < share < 1
    assert 4 <= saves <= 5  # the first, the last of each epoch, the best
    assert seconds > 0


def test_a_failed_or_skipped_drill_is_not_met() -> None:
    tally = drill.Tally()
    assert not tally.met
    tally.add("one", None)
    assert tally.met
    tally.add("two", "went wrong")
    assert (tally.met, tally.problems) == (False, ["two: went wrong"])
    assert not drill.Tally(1, 1, skipped="no room").met


def test_the_page_matches_the_results() -> None:
    results = json.loads((DOCS / "reliability.json").read_text(encoding="utf-8"))
    assert list(results) == list(drill.rows())
    assert (DOCS / "reliability.md").read_text(encoding="utf-8") == page.render(results)
