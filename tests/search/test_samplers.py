"""Samplers draw a trial from its number alone, and only values of the space."""

from __future__ import annotations

import itertools
import json
from functools import partial

import optuna
import pytest
from made_searches import SPACE, START

from tenfold.recipe import Recipe
from tenfold.search.samplers import NAMES, combinations, sampler, suggest, values
from tenfold.search.space import Range, Space


def study(name: str, seed: int = 0, space: Space = SPACE) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(sampler=sampler(name, seed, space, START), direction="maximize")


def drawn(study: optuna.Study, count: int, space: Space = SPACE) -> list[dict]:
    found = []
    for _ in range(count):
        trial = study.ask()
        found.append(space.changes(START, lambda key, each, trial=trial: suggest(trial, key, each)))
        study.tell(trial, found[-1]["train.learning_rate"])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_sampler_draws_valid_values_and_the_same_ones_again(name: str) -> None:
    first = drawn(study(name), 14)
    for changes in first:
        assert START.replace(changes)
        assert ("model.dropout" in changes) == (changes["model.hidden"] == [32])
        assert all(SPACE.ranges[key].contains(value) for key, value in changes.items())
    assert drawn(study(name), 14) == first
    if name != "grid":
        assert first[0] == {"train.learning_rate": 1e-3, "model.hidden": [8]}
        assert drawn(study(name, seed=1), 14)[1:] != first[1:]


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_whose_drawing_was_interrupted_gets_the_same_values(name: str) -> None:
    whole, cut = study(name), study(name)
    expected = drawn(whole, 13)
    assert drawn(cut, 12) == expected[:12]
    trial = cut.ask()
    suggest(trial, "train.learning_rate", SPACE.ranges["train.learning_rate"])
    again = optuna.trial.Trial(cut, trial._trial_id)
    assert SPACE.changes(START, lambda key, each: suggest(again, key, each)) == expected[12]


def test_the_search_learns_from_its_trials() -> None:
    rates = [changes["train.learning_rate"] for changes in drawn(study("tpe"), 40)]
    assert sorted(rates[20:])[10] > sorted(rates[1:11])[5]  # the value of a trial is its learning rate


def test_a_grid_has_each_combination_once() -> None:
    found = list(combinations(SPACE, START))
    assert len(found) == 3 * (1 + 3 + 1)  # three rates; dropout has three values for one of three networks
    assert len({str(each) for each in found}) == len(found)
    assert [changes["train.learning_rate"] for changes in drawn(study("grid"), 2)] == [1e-4, 1e-4]


def test_of_a_grid_with_millions_of_combinations_only_those_of_the_trials_are_made() -> None:
    recipe = Recipe.load("cnn2")
    grid = sampler("grid", 0, Space.load(recipe), recipe)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    asked = optuna.create_study(sampler=grid)
    space = Space.load(recipe)
    found = [space.changes(recipe, partial(suggest, asked.ask())) for _ in range(3)]
    assert found == [
        {key: json.loads(value) if space.ranges[key].choices is not None else value for key, value in each.items()}
        for each in itertools.islice(combinations(space, recipe), 3)]


def test_the_values_of_a_grid() -> None:
    assert values(Range(low=1, high=4, points=4)) == [1, 2, 3, 4]
    assert values(Range(low=1, high=2, points=4)) == [1, 2]
    assert values(Range(low=0.0, high=1.0, step=0.25)) == [0, 0.25, 0.5, 0.75, 1]
    assert values(Range(low=1e-4, high=1e-2, log=True)) == pytest.approx([1e-4, 1e-3, 1e-2])
