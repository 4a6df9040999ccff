"""Options of registered functions: their keyword-only parameters, checked and completed with defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError, create_model

from tenfold.errors import unknown
from tenfold.recipe.mistakes import explain
from tenfold.recipe.sections import ModelSection, Section
from tenfold.registry import AUGMENTATIONS, MODELS


@cache
def options_of(function: Callable[..., Any]) -> type[BaseModel]:
    """The keyword-only parameters of a registered function, as a pydantic model."""
    hints = get_type_hints(_KeywordOnly(function), vars(inspect.getmodule(function)), include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    fields: dict[str, Any] = {
        p.name: (hints[p.name], p.default if p.default is not p.empty else ...)
        for p in parameters if p.kind is p.KEYWORD_ONLY
    }
    return create_model(function.__name__, __base__=Section, **fields)


class _KeywordOnly:
    """Shows `get_type_hints` only the keyword-only annotations: the others name engine types."""

    def __init__(self, function: Callable[..., Any]) -> None:
        keyword_only = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        self.__annotations__ = {k: v for k, v in function.__annotations__.items() if k in keyword_only}


def complete_model(tree: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Check the model's name and options against its function and fill in the defaults."""
    section = tree.get("model", {})
    if not isinstance(section, dict):
        return tree, []
    own = ModelSection.model_fields
    name = section.get("name", own["name"].default)
    if not isinstance(name, str):
        return tree, []
    if name not in MODELS:
        return tree, [f"model.name: {unknown('model', name, MODELS.names())}"]
    given = {k: v for k, v in section.items() if k not in own}
    options = options_of(MODELS.get(name))
    try:
        complete = options.model_validate(given).model_dump()
    except ValidationError as error:
        kept = {k: v for k, v in section.items() if k in own}
        return {**tree, "model": kept}, explain(error, options, prefix="model", more=list(own))
    kept = {k: v for k, v in section.items() if k in own}
    return {**tree, "model": {"name": name, **kept, **complete}}, []


def complete_augment(tree: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Check augmentations against their functions, fill in defaults, put them into applied order."""
    train = tree.get("train", {})
    given = train.get("augment", {}) if isinstance(train, dict) else {}
    if not isinstance(given, dict):
        return tree, []
    problems: list[str] = []
    complete: dict[str, dict[str, Any]] = {}
    for name, options in given.items():
        if options is False:
            continue
        if name not in AUGMENTATIONS:
            problems.append(f"train.augment: {unknown('augmentation', name, AUGMENTATIONS.names())}")
            continue
        schema = options_of(AUGMENTATIONS.get(name))
        try:
            complete[name] = schema.model_validate({} if options is True else options).model_dump()
        except ValidationError as error:
            problems += explain(error, schema, prefix=f"train.augment.{name}")
    if "augment" in train:
        ordered = {name: complete[name] for name in AUGMENTATIONS.names() if name in complete}
        tree = {**tree, "train": {**train, "augment": ordered}}
    return tree, problems
