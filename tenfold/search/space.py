"""The space of a search: the ranges and choices of recipe keys, and the conditions under which a key is searched.

A space is a TOML file with a `[search]` table. Each entry is a recipe key:

    [search]
    "train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
    "train.optimizer" = { choices = ["adam", "sgd"] }
    "train.optimizer.momentum" = { low = 0.8, high = 0.99, when = { "train.optimizer" = ["sgd"] } }

One space for each kind of model comes with Tenfold, in `tenfold/spaces/`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

import tomli_w
from pydantic import BeforeValidator, Field, ValidationError

from tenfold.errors import RecipeError, UsageError
from tenfold.recipe import Recipe
from tenfold.recipe.sections import Section
from tenfold.recipe.validation_errors import explain
from tenfold.shipped import text_of, texts

KINDS = {"low", "high", "choices"}  # a table with one of these is a range, not a table of keys
FIXED = ("data.", "name")  # trials on other images could not be ranked
WITHIN = 0.38  # of a range: where it is tried out, a fraction even between whole numbers


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number")
    return value


Number = Annotated[Any, BeforeValidator(_number)]


class Range(Section):
    """The values of a key: from `low` to `high`, or a list of `choices`.

    Two whole numbers give whole numbers. log: equal ratios are equally likely; step: only low, low + step, …; points:
    the number of values in a grid; when: the key is searched only if each of these keys has one of its values.
    """

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    step: Number | None = None
    points: int = Field(3, ge=2, le=1000)
    choices: list[Any] | None = None
    when: dict[str, list[Any]] = Field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def contains(self, value: Any) -> bool:
        """Whether a value lies in the range, or is one of the choices."""
        if self.choices is not None:
            return text(value) in [text(choice) for choice in self.choices]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or self.low is None or self.high is None:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return bool(self.low <= value <= self.high) and (value == int(value) or not self.whole) and (
            abs(steps - round(steps)) < 1e-9)

    def holds(self, chosen: Mapping[str, Any], start: Mapping[str, Any]) -> bool:
        """Whether its conditions hold for the values chosen so far, and else those in the sections of a recipe."""
        return all(text(chosen[other] if other in chosen else value_of(start, other)) in map(text, values)
                   for other, values in self.when.items())

    def mistakes(self) -> list[str]:
        """What is wrong with the range, one line each, without its key."""
        if self.choices is not None:
            numeric = {"low", "high", "log", "step", "points"} & self.model_fields_set
            doubled = len({text(choice) for choice in self.choices}) < len(self.choices)
            found = [f"received choices and {', '.join(sorted(numeric))}; expected either choices or low and high"
                     ] if numeric else []
            found += ["received no choices; expected at least one"] if not self.choices else []
            return found + (["a choice is there twice; expected each once"] if doubled else [])
        if self.low is None or self.high is None:
            return ["expected low and high, or choices"]
        found = []
        if self.low >= self.high:
            found.append(f"received low {self.low} and high {self.high}; expected low below high")
        if self.log and (self.low <= 0 or self.step is not None):
            found.append("log needs a low above 0 and no step; correct low or step, or leave out log")
        if self.step is not None and not 0 < self.step <= abs(self.high - self.low):
            found.append(f"received step {self.step}; expected more than 0 and at most high - low")
        if self.whole and self.step is not None and not isinstance(self.step, int):
            found.append(f"received step {self.step}; expected a whole number, as low and high are")
        return found

    def ends(self) -> list[Any]:
        """The values that must be valid in a recipe: all choices, or low and high."""
        return [self.low, self.high] if self.choices is None else list(self.choices)

    def within(self) -> list[Any]:
        """A value between low and high that must be valid too, if they are not whole: 1.0 is an epoch, 2.1 is none."""
        if self.whole or self.low is None or self.high is None:
            return []
        return [self.low + (self.step or WITHIN * (self.high - self.low))]


def text(value: Any) -> str:
    """A choice as text, by which it is compared and stored."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class Space:
    """The ranges by recipe key, in the order of the file."""

    ranges: Mapping[str, Range]

    @classmethod
    def load(cls, recipe: Recipe, path: str | Path | None = None) -> Self:
        """The space in a file, or the one that comes with Tenfold for the recipe's model.

        Raises UsageError, RecipeError with all mistakes.
        """
        name, content = read(recipe, path)
        return cls.loads(content, recipe, name)

    @classmethod
    def loads(cls, content: str, recipe: Recipe, name: str = "search") -> Self:
        """A space from TOML text, valid for a recipe. Raises RecipeError with all mistakes."""
        try:
            tree = tomllib.loads(content)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RecipeError(f"space {name}", [f"invalid TOML: {error}"]) from None
        table, others = tree.get("search"), [key for key in tree if key != "search"]
        problems = [f"{key}: unknown table; expected only [search]" for key in others]
        if not isinstance(table, dict) or not table:
            raise RecipeError(f"space {name}", [*problems, "expected a table [search] with at least one recipe key"])
        ranges, more = _ranges(_by_key(table))
        problems += more + _misfits(ranges, recipe)
        if problems:
            raise RecipeError(f"space {name}", problems)
        return cls(ranges)

    def to_dict(self) -> dict[str, Any]:
        """The ranges as plain values, without defaults."""
        return {key: each.model_dump(exclude_defaults=True) for key, each in self.ranges.items()}

    def dumps(self) -> str:
        """The space as TOML."""
        return tomli_w.dumps({"search": self.to_dict()})

    def changes(self, recipe: Recipe, choose: Callable[[str, Range], Any]) -> dict[str, Any]:
        """A value for each key whose conditions hold, by `choose`: key → value."""
        start, found = recipe.to_dict(), dict[str, Any]()
        for key, each in self.ranges.items():
            if each.holds(found, start):
                found[key] = choose(key, each)
        return found

    def own(self, recipe: Recipe) -> dict[str, Any]:
        """The recipe's own values of the searched keys that apply to it, in the space or not."""
        return self.changes(recipe, partial(_own, recipe))

    def start(self, recipe: Recipe) -> dict[str, Any] | None:
        """The recipe's own values of the searched keys; None if the space does not contain them."""
        values = self.own(recipe)
        return values if all(self.ranges[key].contains(value) for key, value in values.items()) else None


def read(recipe: Recipe, path: str | Path | None = None) -> tuple[str, str]:
    """(name, TOML text) of a file, or of the space that ships for the model of the recipe. Raises UsageError."""
    if path is not None:
        return text_of("space", "spaces", path)
    shipped = texts("spaces")
    if recipe.model.name not in shipped:
        raise UsageError(f"no search space comes with Tenfold for model {recipe.model.name!r}; expected one of "
                         f"{', '.join(shipped)}; write a [search] table and give it with --space FILE")
    return recipe.model.name, shipped[recipe.model.name]


def value_of(tree: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key in a recipe's sections; None if it has none. An optimizer's value is its name."""
    node: Any = tree
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node["name"] if key == "train.optimizer" and isinstance(node, Mapping) else node


def _own(recipe: Recipe, key: str, each: Range) -> Any:
    """The recipe's own value of a key: the choice that changes nothing, if there is one."""
    for choice in each.choices or ():
        with contextlib.suppress(RecipeError):
            if recipe.replace({key: choice}) == recipe:
                return choice
    return value_of(recipe.to_dict(), key)


def _by_key(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The ranges by dotted key: TOML reads `train.epochs = …` as nested tables."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        nested = isinstance(value, Mapping) and value and not KINDS & set(value) and all(
            isinstance(each, Mapping) for each in value.values())
        found |= _by_key(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def _ranges(table: Mapping[str, Any]) -> tuple[dict[str, Range], list[str]]:
    """(ranges by key, one line for each mistake inside a range)."""
    found, problems = dict[str, Range](), list[str]()
    for key, value in table.items():
        if not isinstance(value, Mapping):
            problems.append(f"{key}: received {value!r}; expected a table with low and high, or choices")
            continue
        try:
            found[key] = Range.model_validate(value)
        except ValidationError as error:
            problems += explain(error, Range, prefix=key)
            continue
        problems += [f"{key}: {mistake}" for mistake in found[key].mistakes()]
    return found, problems


def _misfits(ranges: Mapping[str, Range], recipe: Recipe) -> list[str]:
    """One line for each key or value that the recipe can't have, and for each condition that can't be decided."""
    problems, before = list[str](), list[str]()
    for key, each in ranges.items():
        late = [other for other in each.when if other in ranges and other not in before]
        problems += [f"{key}: its condition is on {other}, which comes later; move it before" for other in late]
        before.append(key)
        if key.startswith(FIXED):
            problems.append(f"{key}: can't be searched, because trials on other images can't be ranked; leave it out")
            continue
        if key == "train.seed":
            problems.append(f"{key}: can't be searched: the verdict needs seeds that no trial used; leave it out")
            continue
        impossible = [f"{key}: its condition on {problem}" for other, values in each.when.items()
                      for problem in _impossible(other, values, ranges, recipe)]
        problems += impossible
        if impossible or each.mistakes():
            continue  # which values it would have, and beside which others, is unknown
        searched = {other: values for other, values in each.when.items() if other in ranges}
        if not searched and not each.holds({}, recipe.to_dict()):
            continue  # never searched with this recipe
        first = {other: values[0] for other, values in searched.items()}
        beside = [{**first, other: value} for other, values in searched.items() for value in values] or [first]
        problems += _invalid(recipe, key, each.ends(), beside) or _invalid(recipe, key, each.within(), beside)
    return list(dict.fromkeys(problems))


def _impossible(other: str, values: Sequence[Any], ranges: Mapping[str, Range], recipe: Recipe) -> list[str]:
    """One line for each value of a condition that its key can't have."""
    if not values:
        return [f"{other}: received no values; expected at least one"]
    if other not in ranges:
        return [problem for value in values for problem in _invalid(recipe, other, [value], [{}])
                if problem.partition(":")[0] in other]  # not of other keys, which contradict it in this recipe
    own = text(value_of(recipe.to_dict(), other))  # where its own condition does not hold
    return [f"{other}: received {value!r}; expected values that it has in this search" for value in values
            if not ranges[other].mistakes() and not ranges[other].contains(value) and text(value) != own]


def _invalid(recipe: Recipe, key: str, values: Sequence[Any], beside: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the values of a key, beside each of these values of other keys."""
    problems = list[str]()
    for value, others in itertools.product(values, beside):
        try:
            recipe.replace({**others, key: value})
        except RecipeError as error:
            problems += error.problems
    return problems
