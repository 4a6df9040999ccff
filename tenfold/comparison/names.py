"""Names of models; if recipes share a name, their differences are added: "mlp (mixup 0.4)"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MAX_DETAIL = 40  # characters in the brackets


def names_of(recipes: Sequence[Mapping[str, Any]]) -> list[str]:
    """A unique name for each recipe; recipes: dotted keys with their values.

    Recipes with the same name get the values in which they differ, in at most 40 characters. If the names are still
    the same, they get a number.
    """
    names = [_name(recipe, [other for other in recipes if other["name"] == recipe["name"]]) for recipe in recipes]
    return [f"{name} #{names[:i].count(name) + 1}" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _name(recipe: Mapping[str, Any], namesakes: Sequence[Mapping[str, Any]]) -> str:
    if len(namesakes) == 1:
        return str(recipe["name"])
    differing = [key for key in recipe if any(other.get(key) != recipe[key] for other in namesakes)]
    said = ", ".join(dict.fromkeys(_words(key, recipe[key], differing, namesakes) for key in differing))
    if not said:
        return str(recipe["name"])
    return f"{recipe['name']} ({said if len(said) <= MAX_DETAIL else said[: MAX_DETAIL - 1].rstrip(', ') + '…'})"


def _words(key: str, value: Any, differing: Sequence[str], namesakes: Sequence[Mapping[str, Any]]) -> str:
    """A key and its value as short text. An option is called by its owner: `alpha` of `mixup` is "mixup 0.4"."""
    *sections, leaf = (part.replace("_", " ") for part in key.split("."))
    if value == {}:
        return leaf if len(sections) > 1 else f"no {leaf}"
    if len(sections) > 1:
        prefix = key.rpartition(".")[0] + "."
        if sum(other.startswith(prefix) for other in differing) == 1:
            leaf = sections[-1]
        elif any(not any(other.startswith(prefix) for other in recipe) for recipe in namesakes):
            return sections[-1]  # another recipe lacks the whole section
        else:
            leaf = f"{sections[-1]} {leaf}"
    if value is True or value is False or value in (None, "none"):
        return leaf if value is True else f"no {leaf}"
    if leaf == "name":
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"{leaf} {'/'.join(map(str, value)) or 'none'}"
    return f"{leaf} {value:g}" if isinstance(value, float) else f"{leaf} {value}"
