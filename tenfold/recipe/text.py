"""Overrides from the command line, `key=value`: the value is parsed according to the type of its key.

Keys that take text keep it unchanged. Lists are separated by commas or written as in TOML. `none` means no value, if
the key allows that. An invalid value stays text, so that the recipe reports it together with all other errors.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from tenfold.errors import RecipeError
from tenfold.recipe import Recipe, parsed, read, titled
from tenfold.recipe.options import options_of
from tenfold.recipe.overrides import current, named
from tenfold.recipe.renamed import key_now
from tenfold.recipe.sections import ModelSection, OptimizerSection, Sections
from tenfold.recipe.validation_errors import section_at
from tenfold.registry import AUGMENTATIONS, MODELS, OPTIMIZERS, Registry


def load(name_or_path: str | Path, words: Iterable[str], overrides: Mapping[str, Any] | None = None) -> Recipe:
    """`Recipe.load` with `words` as `key=value` overrides, and further overrides as values, which win over the words.

    Raises UnknownNameError, UsageError, RecipeError with all validation errors.
    """
    name, text = read(name_or_path)
    return recipe(parsed(text, name), words, overrides, name=name)


def recipe(tree: Mapping[str, Any], words: Iterable[str], overrides: Mapping[str, Any] | None = None, *,
           name: str = "recipe") -> Recipe:
    """`Recipe.from_dict` with `words` as `key=value` overrides, and further overrides as values. Raises RecipeError."""
    values, problems = _values(words, tree)
    try:
        found = Recipe.from_dict(tree, name=name, overrides={**values, **(overrides or {})})
    except RecipeError as error:
        raise RecipeError(error.source, [*problems, *error.problems]) from None
    if problems:
        raise RecipeError(titled(found.name), problems)
    return found


def _values(words: Iterable[str], tree: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(values by dotted key, one problem for each word that is not `key=value`)."""
    texts: dict[str, str] = {}
    problems = []
    for word in words:
        key, equals, text = word.partition("=")
        if equals:
            texts.pop(key.strip(), None)  # the last value of a key counts, at its own position
            texts[key.strip()] = text
        else:
            problems.append(f"--set {word}: expected section.key=value, as in train.epochs=20")
    now = current(tree)
    model = texts.get("model.name", named(now, "model"))
    optimizer = texts.get("train.optimizer", texts.get("train.optimizer.name", named(now, "train.optimizer")))
    found = {key: value(text, annotation(key_now(key, model), model, optimizer)) for key, text in texts.items()}
    return found, problems


def annotation(key: str, model: str, optimizer: str) -> Any:
    """The type of a key's value, in a recipe with that model and optimizer; Any if there is no such key."""
    *path, last = key.split(".")
    match path:
        case ["model"]:
            fields = {**_options(MODELS, model), **ModelSection.model_fields}
        case ["train", "optimizer"]:
            fields = {**_options(OPTIMIZERS, optimizer), **OptimizerSection.model_fields}
        case ["train", "augment", name]:
            fields = _options(AUGMENTATIONS, name)
        case ["train", "augment"]:
            return bool | dict
        case ["train", "class_weights"]:
            return float
        case ["train"] if last == "optimizer":
            return str
        case _:
            section = section_at(Sections, path)
            fields = {} if section is None else section.model_fields
    return fields[last].annotation if last in fields else Any


def _options(registry: Registry[Any], name: str) -> dict[str, FieldInfo]:
    return options_of(registry.get(name)).model_fields if name in registry else {}


def value(text: str, kind: Any) -> Any:
    """A text parsed as a value of a type; the text itself if it can't be parsed."""
    kinds = _kinds(kind)
    if str in kinds:
        return text
    text = text.strip()
    if type(None) in kinds and text == "none":
        return None
    if any(get_origin(each) is Literal and text in get_args(each) for each in kinds):
        return text
    listed = next((each for each in kinds if get_origin(each) is list), None)
    if listed is not None:
        return _list(text, get_args(listed)[0])
    found, types = _toml(text), {_type(each) for each in kinds}
    number = isinstance(found, (int, float)) and not isinstance(found, bool)
    fits = object in types or type(found) in types or (number and bool(types & {int, float}))
    return found if fits and found is not None else text


def _list(text: str, kind: Any) -> Any:
    """Parse a list: `32,64`, `cat,dog` or a TOML array."""
    found = _toml(text) if text.startswith("[") else None
    if isinstance(found, list):
        return found
    return [value(part.strip(), kind) for part in text.split(",")] if text else []


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return None


def _kinds(kind: Any) -> list[Any]:
    """The types that an annotation allows, without constraints."""
    if get_origin(kind) is Annotated:
        return _kinds(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [each for part in get_args(kind) for each in _kinds(part)]
    return [kind]


def _type(kind: Any) -> type | None:
    """The Python type of a TOML value: dict for a table, object for any; None for a literal and for no value."""
    if kind is Any:
        return object
    if get_origin(kind) is Literal or kind is type(None):
        return None
    return kind if kind in (bool, int, float) else dict
