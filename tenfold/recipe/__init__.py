"""Recipes: the model, the data and the training settings, as frozen, validated values read from and written to TOML.

Overrides take precedence over the recipe file, and the file over the defaults. Overrides are values by dotted key, as
in `{"train.epochs": 3}`; `tenfold.recipe.text` reads them from the command line. The options of a model, an optimizer
or an augmentation are the keyword-only parameters of the function registered under its name. So a recipe is validated
against the code that uses it. All errors are reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import ValidationError

from tenfold.arguments import by_key
from tenfold.errors import RecipeError, UsageError, type_of
from tenfold.notebooks import preformatted
from tenfold.recipe.contradictions import contradictions
from tenfold.recipe.options import complete, options_of
from tenfold.recipe.overrides import overridden
from tenfold.recipe.sections import (
    Checkpoint,
    DataSection,
    Distillation,
    EarlyStopping,
    EvaluateSection,
    Head,
    ModelSection,
    OptimizerSection,
    Plateau,
    Sections,
    TrainSection,
)
from tenfold.recipe.toml import parse
from tenfold.recipe.validation_errors import explain
from tenfold.registry import MODELS
from tenfold.shipped import text_of, texts

__all__ = [
    "Checkpoint", "DataSection", "Distillation", "EarlyStopping", "EvaluateSection", "Head", "ModelSection",
    "OptimizerSection", "Plateau", "Recipe", "TrainSection", "header", "options_of", "read", "shipped",
]


class Recipe(Sections):
    """A complete, valid, immutable recipe. Create one with `load`, `loads` or `from_dict`."""

    name: str = "recipe"

    @classmethod
    def load(cls, recipe: Self | str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Self:
        """Read a shipped recipe by name or a TOML file by path, then apply overrides: values by dotted key.

        A Recipe is taken as it is, and a dictionary as the sections of one. Raises UnknownNameError if there is no
        such recipe, UsageError for a value of another type, RecipeError with all validation errors.
        """
        if isinstance(recipe, cls):
            return recipe.replace(by_key("overrides", overrides)) if overrides else recipe
        if isinstance(recipe, Mapping):
            return cls.from_dict(recipe, overrides=overrides)
        if not isinstance(recipe, str | Path):
            raise UsageError(f"recipe: received {type_of(recipe)}; expected a Recipe, the name of a shipped "
                             "recipe, a TOML file or a dictionary of sections")
        name, text = read(recipe)
        return cls.loads(text, name=name, overrides=overrides)

    @classmethod
    def loads(cls, text: str, name: str = "recipe", overrides: Mapping[str, Any] | None = None, *,
              unknown_model: bool = False) -> Self:
        """A recipe from TOML text; `unknown_model` as in `from_dict`. Raises RecipeError."""
        return cls.from_dict(parsed(text, name), name=name, overrides=overrides, unknown_model=unknown_model)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], name: str = "recipe",
                  overrides: Mapping[str, Any] | None = None, *, unknown_model: bool = False) -> Self:
        """A recipe from a mapping of sections. Raises RecipeError with all validation errors.

        With `unknown_model`, the model may be one that is not registered in this process, as in a run of such a model.
        """
        name = str(tree.get("name", name))
        overrides = by_key("overrides", overrides)
        sections, problems = overridden({k: v for k, v in tree.items() if k != "name"}, overrides)
        sections, more = complete(sections, unknown_model)
        problems += more
        try:
            valid = Sections.model_validate(sections)
        except ValidationError as error:
            raise RecipeError(titled(name), problems + explain(error, Sections)) from None
        problems += contradictions(valid)
        if problems:
            raise RecipeError(titled(name), problems)
        return cls(name=name, **{section: getattr(valid, section) for section in Sections.model_fields})

    def replace(self, overrides: Mapping[str, Any]) -> Self:
        """A copy of the recipe with other values, as in `replace({"data.source": "mnist", "train.epochs": 3})`.

        None, or "none", means no value. A new `model.name` or `train.optimizer` starts with its default options.
        Raises RecipeError with all validation errors.
        """
        return type(self).from_dict(self.to_dict(), name=self.name, overrides=overrides,
                                    unknown_model=self.model.name not in MODELS)

    def to_dict(self) -> dict[str, Any]:
        """The name and the complete sections as nested dicts; "none" means no value."""
        return _spell_none(self.model_dump(include={"name"}) | self.model_dump(exclude={"name"}))

    def _repr_html_(self) -> str:
        return preformatted(self.dumps())

    def dumps(self) -> str:
        """The complete recipe as TOML; `loads` returns the same recipe."""
        return tomli_w.dumps(self.to_dict())


def shipped() -> dict[str, str]:
    """The recipes that come with Tenfold: name → TOML text."""
    return texts("recipes")


def read(name_or_path: str | Path) -> tuple[str, str]:
    """(name, TOML text) of a shipped recipe or a file. Raises UnknownNameError, UsageError."""
    return text_of("recipe", "recipes", name_or_path)


def parsed(text: str, name: str) -> dict[str, Any]:
    """The sections in the TOML text of the recipe `name`. Raises RecipeError if the TOML is invalid."""
    try:
        return parse(text)
    except ValueError as error:
        raise RecipeError(titled(name), [str(error)]) from None


def titled(name: str) -> str:
    """A recipe in a message: "recipe cnn2"; "recipe" if it has no name of its own."""
    return "recipe" if name == Recipe.model_fields["name"].default else f"recipe {name}"


def header(text: str) -> dict[str, str]:
    """The facts in the comment block at the top of a recipe file.

    The first comment lines are its `title`; each `# key: value` line is a fact (origin, command, machine, seconds,
    accuracy). Further comment lines without a key continue the fact.
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
