"""The options of registered functions: their keyword-only parameters, validated and completed with defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError, create_model

from tenfold.errors import unknown
from tenfold.recipe.sections import ModelSection, Named, OptimizerSection, Section
from tenfold.recipe.validation_errors import explain
from tenfold.registry import AUGMENTATIONS, MODELS, OPTIMIZERS, Registry


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
    """Limits `get_type_hints` to the keyword-only annotations; the others name Keras types, which are not imported."""

    def __init__(self, function: Callable[..., Any]) -> None:
        keyword_only = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        self.__annotations__ = {k: v for k, v in function.__annotations__.items() if k in keyword_only}


def complete(tree: dict[str, Any], unknown_model: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Validate the options of model, optimizer and augmentations and fill in defaults: (complete tree, problems).

    With `unknown_model`, a model that is not registered here is no problem.
    """
    given = tree.get("model", {})
    unregistered = isinstance(given, dict) and isinstance(given.get("name"), str) and given["name"] not in MODELS
    model, problems = (given, []) if unknown_model and unregistered else \
        _complete_named(given, ModelSection, MODELS, "model", "model.name")
    tree = {**tree, "model": model}
    train = tree.get("train", {})
    if not isinstance(train, dict):
        return tree, problems
    optimizer, optimizer_problems = _complete_named(
        train.get("optimizer", {}), OptimizerSection, OPTIMIZERS, "train.optimizer", "train.optimizer")
    augment, augment_problems = _complete_augment(train.get("augment", {}))
    complete_tree = {**tree, "train": {**train, "optimizer": optimizer, "augment": augment}}
    return complete_tree, problems + optimizer_problems + augment_problems


def _complete_named(table: Any, schema: type[Named], registry: Registry[Callable], key: str,
                    name_key: str) -> tuple[Any, list[str]]:
    """Validate a table's name and options against the function of that name and fill in defaults.

    If options are invalid, all options are left out, because their errors are already reported here.
    """
    own = schema.model_fields
    name = table.get("name", own["name"].default) if isinstance(table, dict) else None
    if not isinstance(name, str):
        return table, []
    if name not in registry:
        return table, [f"{name_key}: {unknown(registry.kind, name, registry.names())}"]
    kept = {k: v for k, v in table.items() if k in own}
    options = options_of(registry.get(name))
    try:
        found = options.model_validate({k: v for k, v in table.items() if k not in own}).model_dump()
    except ValidationError as error:
        return kept, explain(error, options, prefix=key, more=list(own))
    return {"name": name, **kept, **found}, []


def _complete_augment(given: Any) -> tuple[Any, list[str]]:
    """Validate augmentations against their functions, fill in defaults, sort them into the order of application."""
    if not isinstance(given, dict):
        return given, []
    problems: list[str] = []
    found: dict[str, dict[str, Any]] = {}
    for name, options in given.items():
        if options is False:
            continue
        if name not in AUGMENTATIONS:
            problems.append(f"train.augment: {unknown('augmentation', name, AUGMENTATIONS.names())}")
            continue
        schema = options_of(AUGMENTATIONS.get(name))
        try:
            found[name] = schema.model_validate({} if options is True else options).model_dump()
        except ValidationError as error:
            problems += explain(error, schema, prefix=f"train.augment.{name}")
    return {name: found[name] for name in AUGMENTATIONS.names() if name in found}, problems
