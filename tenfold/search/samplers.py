"""Samplers: how the values of the next trial are chosen. Optuna's, seeded by the number of the trial.

A sampler with one seed for the whole search would depend on which process asked before. Here each trial draws from its
own stream, derived from the seed of the search and the trial's number. So a trial that was interrupted while its
values were drawn gets the same values again.
"""

from __future__ import annotations

import itertools
import json
import math
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial

from tenfold.recipe import Recipe
from tenfold.search.space import Range, Space, text

NAMES = ("tpe", "random", "grid", "gp")
DRAWN = "tenfold:drawn"  # the attribute of a trial with its jointly drawn values


def distribution(each: Range) -> BaseDistribution:
    """Optuna's distribution of a range. Choices are stored as text, because Optuna takes no lists."""
    if each.choices is not None:
        return CategoricalDistribution([text(choice) for choice in each.choices])
    assert each.low is not None
    assert each.high is not None
    if each.whole:
        return IntDistribution(each.low, each.high, log=each.log, step=each.step or 1)
    return FloatDistribution(each.low, each.high, log=each.log, step=each.step)


def suggest(trial: Trial, key: str, each: Range) -> Any:
    """The value of a key for a trial: the stored one, or a new one, which is stored."""
    known = distribution(each)
    if isinstance(known, CategoricalDistribution):
        return json.loads(trial.suggest_categorical(key, known.choices))  # type: ignore[arg-type]
    if isinstance(known, IntDistribution):
        return trial.suggest_int(key, known.low, known.high, step=known.step, log=known.log)
    assert isinstance(known, FloatDistribution)
    return trial.suggest_float(key, known.low, known.high, step=known.step, log=known.log)


def sampler(name: str, seed: int, space: Space, recipe: Recipe) -> BaseSampler:
    """The sampler `name` of `NAMES`. Its first trial is the recipe itself, if the space contains it; a grid's is not.
    """
    start = {key: stored(space.ranges[key], value) for key, value in (space.start(recipe) or {}).items()}
    if name == "grid":
        return Grid(combinations(space, recipe))
    conditional = any(each.when for each in space.ranges.values())
    makers: dict[str, Callable[[int], BaseSampler]] = {
        "tpe": lambda derived: TPESampler(seed=derived, group=conditional),
        "random": lambda derived: RandomSampler(seed=derived),
        "gp": lambda derived: GPSampler(seed=derived, warn_independent_sampling=False),
    }
    return Seeded(makers[name], seed, start)


def stored(each: Range, value: Any) -> Any:
    """A value as Optuna stores it."""
    return value if each.choices is None else text(value)


class Seeded(BaseSampler):
    """Draws each trial with a sampler of its own, seeded by the seed of the search and the trial's number.

    start: the stored values of the first trial; empty: drawn like the others.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int, start: Mapping[str, Any]) -> None:
        self._make, self._seed, self._start = make, seed, start
        self._joint: BaseSampler = RandomSampler()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if trial.number == 0 and self._start:
            return {}
        self._joint = self._sampler(trial.number)
        return self._joint.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial,
                        search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        if not search_space:
            return {}
        if DRAWN in trial.system_attrs:  # a Gaussian process would count the interrupted trial itself
            return dict(trial.system_attrs[DRAWN])
        drawn = self._joint.sample_relative(study, trial, search_space)
        study._storage.set_trial_system_attr(trial._trial_id, DRAWN, drawn)
        return drawn

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str,
                           param_distribution: BaseDistribution) -> Any:
        if trial.number == 0 and param_name in self._start:
            return self._start[param_name]
        own = self._sampler(trial.number, zlib.crc32(param_name.encode()))
        return own.sample_independent(study, trial, param_name, param_distribution)

    def _sampler(self, *stream: int) -> BaseSampler:
        """A new sampler for a stream of random numbers."""
        derived = int(np.random.SeedSequence([self._seed, *stream]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return self._make(derived)


class Grid(BaseSampler):
    """The combination with the trial's number; after the last one, the first again."""

    def __init__(self, combinations: Iterator[dict[str, Any]]) -> None:
        self._further, self._known = combinations, list[dict[str, Any]]()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial,
                        search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str,
                           param_distribution: BaseDistribution) -> Any:
        missing = max(trial.number + 1 - len(self._known), 0)
        self._known += itertools.islice(self._further, missing)  # of millions of combinations, only those of the trials
        return self._known[trial.number % len(self._known)][param_name]


def combinations(space: Space, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """The stored values of every combination of a grid, one at a time, without keys whose conditions don't hold."""
    start, ranges = recipe.to_dict(), list(space.ranges.items())

    def from_key(place: int, chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if place == len(ranges):
            yield {key: stored(space.ranges[key], value) for key, value in chosen.items()}
            return
        key, each = ranges[place]
        if not each.holds(chosen, start):
            yield from from_key(place + 1, chosen)
            return
        for value in values(each):
            yield from from_key(place + 1, chosen | {key: value})

    return from_key(0, {})


def values(each: Range) -> list[Any]:
    """The values of a range in a grid: all choices or steps, or `points` values from low to high."""
    if each.choices is not None:
        return each.choices
    assert each.low is not None
    assert each.high is not None
    if each.step is not None:
        count = math.floor((each.high - each.low) / each.step + 1e-9) + 1
        return [each.low + i * each.step for i in range(count)]
    spaced = (np.geomspace if each.log else np.linspace)(each.low, each.high, each.points).tolist()
    return list(dict.fromkeys(round(value) for value in spaced)) if each.whole else spaced
