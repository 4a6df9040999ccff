"""Recipes: what to train on what, and how. Frozen, validated, TOML in and out.

The order of precedence is: defaults < recipe file < overrides. Overrides are values by dotted key, as in
`{"train.epochs": 3}`; `tenfold.recipe.text` reads them from the words of a command. The options of a model,
an optimizer or an augmentation are the keyword-only parameters of the function registered under its name,
so a recipe is checked against the very code that will use it; all validation errors are reported at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import ValidationError

from tenfold.errors import RecipeError
from tenfold.recipe.contradictions import contradictions
from tenfold.recipe.options import complete, options_of
from tenfold.recipe.overrides import overridden
from tenfold.recipe.sections import (
    Checkpoint,
    DataSection,
    EarlyStopping,
    EvaluateSection,
    Head,
    ModelSection,
    OptimizerSection,
    Plateau,
    Sections,
    TrainSection,
)
from tenfold.recipe.validation_errors import explain
from tenfold.shipped import text_of, texts

__all__ = [
    "Checkpoint", "DataSection", "EarlyStopping", "EvaluateSection", "Head", "ModelSection", "OptimizerSection",
    "Plateau", "Recipe", "TrainSection", "header", "options_of", "read", "shipped",
]


DEEPEST = 16  # levels of tables in a recipe, several times as many as its keys need


class Recipe(Sections):
    """A complete, valid recipe. Make one with `load`, `loads` or `from_dict`; it never changes after."""

    name: str = "recipe"

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Self:
        """Read a shipped recipe by name or a TOML file by path, then apply overrides: values by dotted key.

        Raises UnknownNameError if there is neither, RecipeError with every validation error.
        """
        name, text = read(name_or_path)
        return cls.loads(text, name=name, overrides=overrides)

    @classmethod
    def loads(cls, text: str, name: str = "recipe", overrides: Mapping[str, Any] | None = None) -> Self:
        """A recipe from TOML text. Raises RecipeError."""
        return cls.from_dict(parsed(text, name), name=name, overrides=overrides)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], name: str = "recipe",
                  overrides: Mapping[str, Any] | None = None) -> Self:
        """A recipe from nested mappings of sections. Raises RecipeError with every validation error at once."""
        name = str(tree.get("name", name))
        sections, problems = overridden({k: v for k, v in tree.items() if k != "name"}, overrides or {})
        sections, more = complete(sections)
        problems += more
        try:
            valid = Sections.model_validate(sections)
        except ValidationError as error:
            raise RecipeError(f"recipe {name}", problems + explain(error, Sections)) from None
        problems += contradictions(valid)
        if problems:
            raise RecipeError(f"recipe {name}", problems)
        return cls(name=name, **{section: getattr(valid, section) for section in Sections.model_fields})

    def replace(self, overrides: Mapping[str, Any]) -> Self:
        """The same recipe with other values, as in `replace({"data.source": "mnist", "train.epochs": 3})`.

        None, or "none", stands for no value; another `model.name` or `train.optimizer` comes with the default
        options of its own. Raises RecipeError with every validation error at once.
        """
        return type(self).from_dict(self.to_dict(), name=self.name, overrides=overrides)

    def to_dict(self) -> dict[str, Any]:
        """The name and the sections as nested dicts, complete; "none" stands for what is not set."""
        return _spell_none(self.model_dump(include={"name"}) | self.model_dump(exclude={"name"}))

    def dumps(self) -> str:
        """The recipe as TOML, resolved and complete; `loads` gives the same recipe back."""
        return tomli_w.dumps(self.to_dict())


def shipped() -> dict[str, str]:
    """The recipes that come with Tenfold: name → TOML text."""
    return texts("recipes")


def read(name_or_path: str | Path) -> tuple[str, str]:
    """(name, TOML text) of a shipped recipe or of a file. Raises UnknownNameError, UsageError."""
    return text_of("recipe", "recipes", name_or_path)


def parsed(text: str, name: str) -> dict[str, Any]:
    """The sections in the TOML text of a recipe of that name. Raises RecipeError if it is no TOML."""
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError(f"recipe {name}", [f"no valid TOML: {error}"]) from None
    level: list[Any] = [tree]
    for _ in range(DEEPEST):
        level = [value for table in level for value in table.values() if isinstance(value, dict)]
    if level:
        raise RecipeError(f"recipe {name}", [f"no valid TOML: tables are nested more than {DEEPEST} levels deep"])
    return tree


def header(text: str) -> dict[str, str]:
    """The facts in the comment block that opens a recipe file.

    The first comment lines are its `title`; each `# key: value` line is a fact (origin, command,
    machine, seconds, accuracy), continued on lines that are indented further.
    """
    facts: dict[str, str] = {"title": ""}
    key = "title"
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        content = line[1:].removeprefix(" ")
        start, colon, rest = content.partition(":")
        if colon and start.isidentifier() and start.islower() and (not rest or rest[0] == " "):
            key = start
            facts[key] = rest.strip()
        else:
            facts[key] = f"{facts[key]} {content.strip()}".strip()
    return facts


def _spell_none(tree: dict[str, Any]) -> dict[str, Any]:
    return {k: _spell_none(v) if isinstance(v, dict) else "none" if v is None else v for k, v in tree.items()}
