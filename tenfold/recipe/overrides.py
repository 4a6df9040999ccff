"""Overrides: values by dotted key that replace those in a recipe's sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.recipe.renamed import overrides_now, tree_now
from tenfold.recipe.sections import ModelSection, Named, OptimizerSection, Sections

# The tables that name a function. Changing the name removes the options of the former function.
NAMED: dict[str, type[Named]] = {"model": ModelSection, "train.optimizer": OptimizerSection}


def overridden(tree: Mapping[str, Any], overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The sections `tree` with overrides and current key names: (sections, problems).

    The name of a model or optimizer is always set before its options, whatever the order of the overrides.
    """
    problems: list[str] = []
    found = current(tree)
    values = _spelled_out(overrides_now(overrides, str(overrides.get("model.name", named(found, "model")))))
    for key in sorted(values, key=lambda key: key.removesuffix(".name") not in NAMED):
        path = key.split(".")
        if len(path) < 2 or not all(path):
            problems.append(f"{key or 'an empty key'}: expected section.key, as in {_with_section(key)}")
        else:
            _put(found, path, values[key])
    return found, problems


def _with_section(key: str) -> str:
    """The key in the first section that has one of this name; that of the epochs for an unknown one."""
    found = (f"{name}.{key}" for name, field in Sections.model_fields.items()
             if key in getattr(field.annotation, "model_fields", ()))
    return next(found, "train.epochs")


def current(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the sections with current key names; `optimizer = "sgd"` becomes a table with that name."""
    found = _copy(tree)
    train = found.get("train")
    if isinstance(train, dict) and isinstance(train.get("optimizer"), str):
        train["optimizer"] = {"name": train["optimizer"]}
    return tree_now(found, named(found, "model"))


def named(tree: Mapping[str, Any], table: str) -> str:
    """The name in one of the tables of `NAMED`, or its default. `tree` comes from `current`."""
    node: Any = tree
    for part in [*table.split("."), "name"]:
        node = node.get(part) if isinstance(node, Mapping) else None
    return str(NAMED[table].model_fields["name"].default if node is None else node)


def _copy(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, Mapping) else v for k, v in tree.items()}


def _spelled_out(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Replace `train.optimizer`, a name or a table, by a value for each of its keys."""
    found: dict[str, Any] = {}
    for key, value in overrides.items():
        if key != "train.optimizer" or value is None:
            found[key] = value
        elif isinstance(value, Mapping):
            found |= {f"{key}.{option}": each for option, each in value.items()}
        else:
            found[f"{key}.name"] = value
    return found


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    """Set the value at a path; a changed name removes the options of the former one."""
    *tables, key = path
    node = tree
    for part in tables:
        child = node.get(part)
        if not isinstance(child, dict):
            child = node[part] = {}
        node = child
    named = NAMED.get(".".join(tables))
    if named is not None and key == "name" and node.get("name", named.model_fields["name"].default) != value:
        for option in [k for k in node if k not in named.model_fields]:
            del node[option]
    node[key] = _copy(value) if isinstance(value, Mapping) else value
