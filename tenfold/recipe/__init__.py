"""Recipes: what to train on what, and how. Frozen, validated, TOML in and out.

The order of precedence is: defaults < recipe file < overrides (`--set key=value`). The options of a
model or an augmentation are the keyword-only parameters of the function registered under its name,
so a recipe is checked against the very code that will use it; all mistakes are reported at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import ValidationError

from tenfold.errors import RecipeError
from tenfold.recipe.mistakes import explain
from tenfold.recipe.options import complete_augment, complete_model, options_of
from tenfold.recipe.sections import (
    Checkpoint,
    DataSection,
    EarlyStopping,
    EvaluateSection,
    Head,
    ModelSection,
    Plateau,
    Section,
    TrainSection,
)
from tenfold.shipped import text_of, texts

__all__ = [
    "Checkpoint", "DataSection", "EarlyStopping", "EvaluateSection", "Head", "ModelSection", "Plateau", "Recipe",
    "TrainSection", "header", "options_of", "read", "shipped",
]


class _Body(Section):
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()
    evaluate: EvaluateSection = EvaluateSection()


class Recipe(_Body):
    """A complete, valid recipe. Make one with `load`, `loads` or `from_dict`; it never changes after."""

    name: str = "recipe"

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Iterable[str] = ()) -> Self:
        """Read a shipped recipe by name or a TOML file by path, then apply `key=value` overrides.

        Raises UnknownNameError if there is neither, RecipeError with every mistake it holds.
        """
        name, text = read(name_or_path)
        return cls.loads(text, name=name, overrides=overrides)

    @classmethod
    def loads(cls, text: str, name: str = "recipe", overrides: Iterable[str] = ()) -> Self:
        """A recipe from TOML text. Raises RecipeError."""
        try:
            tree = _copy(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError) as error:  # of lists in lists without end
            raise RecipeError(f"recipe {name}", [f"no valid TOML: {error}"]) from None
        return cls.from_dict(tree, name=name, overrides=overrides)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], name: str = "recipe", overrides: Iterable[str] = ()) -> Self:
        """A recipe from nested mappings of sections. Raises RecipeError with every mistake at once."""
        problems: list[str] = []
        tree = _copy(tree)
        name = str(tree.pop("name", name))
        for override in overrides:
            _apply(tree, override, problems)
        tree, augment_problems = complete_augment(tree)
        tree, model_problems = complete_model(tree)
        problems += model_problems + augment_problems
        try:
            body = _Body.model_validate(tree)
        except ValidationError as error:
            raise RecipeError(f"recipe {name}", problems + explain(error, _Body)) from None
        problems += _contradictions(body)
        if problems:
            raise RecipeError(f"recipe {name}", problems)
        return cls(name=name, **{section: getattr(body, section) for section in _Body.model_fields})

    def replace(self, *overrides: str) -> Self:
        """The same recipe with `key=value` overrides. Raises RecipeError."""
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


def _contradictions(body: _Body) -> list[str]:
    """Settings that are fine alone and can't hold together."""
    problems = []
    watched = {"train.early_stopping.monitor": body.train.early_stopping, "train.plateau.monitor": body.train.plateau}
    if body.data.validation == 0:
        for key, section in watched.items():
            if section is not None and section.monitor.startswith("val_"):
                problems.append(f"{key}: {section.monitor!r} needs a validation split, and data.validation is 0; "
                                "set data.validation=0.1, say")
    if body.train.plateau is not None and body.train.schedule != "constant":
        problems.append(f"train.plateau: works on a constant learning rate, and train.schedule is "
                        f"{body.train.schedule!r}; set train.schedule=constant or leave out train.plateau")
    if body.train.warmup >= body.train.epochs and body.train.warmup > 0:
        problems.append(f"train.warmup: received {body.train.warmup:g} epochs of train.epochs={body.train.epochs}; "
                        "expected fewer than all")
    if body.model.name != "pretrained":
        for key, given in {"train.head": body.train.head, "train.views": body.train.views > 1,
                           "train.stage_decay": body.train.stage_decay < 1}.items():
            if given:
                problems.append(f"{key}: needs a backbone, and model.name is {body.model.name!r}; leave it out or set "
                                "model.name=pretrained")
    elif body.train.optimizer == "normalized-muon":
        problems.append("train.optimizer: normalized-muon sets the norm of every kernel, which undoes what a backbone "
                        "has learned; use muon or adamw")
    if body.train.optimizer == "logistic-regression":
        if body.model.options.get("trainable") != "none":
            problems.append("train.optimizer: logistic-regression fits the logits on frozen features; set "
                            "model.name=pretrained and model.trainable=none")
        if body.train.head is not None:
            problems.append("train.head: logistic-regression trains nothing but the head; leave out train.head")
    return problems


# ----------------------------------------------------------------------------------------------------
# overrides


def _copy(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, Mapping) else v for k, v in tree.items()}


def _spell_none(tree: dict[str, Any]) -> dict[str, Any]:
    return {k: _spell_none(v) if isinstance(v, dict) else "none" if v is None else v for k, v in tree.items()}


def _apply(tree: dict[str, Any], override: str, problems: list[str]) -> None:
    """Set one `key=value` in the tree."""
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or len(path) < 2 or not all(path):
        problems.append(f"--set {override}: expected section.key=value, as in train.epochs=20")
        return
    node = tree
    for part in path[:-1]:
        child = node.get(part)
        if not isinstance(child, dict):
            child = node[part] = {}
        node = child
    if path[:2] == ["model", "name"] and node.get("name") not in (None, text.strip()):
        for option in [k for k in node if k not in ModelSection.model_fields]:
            del node[option]  # the options of another model
    node[path[-1]] = _value(text.strip())


def _value(text: str) -> Any:
    """A TOML value; a list where there are commas (`32,64`, `cat,dog`); else the text itself."""
    for candidate in (text, f"[{text}]" if "," in text else text):
        try:
            return tomllib.loads(f"value = {candidate}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError):
            pass
    return [part.strip() for part in text.split(",")] if "," in text else text
