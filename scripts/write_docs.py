"""Write the generated pages of docs/ from recipe headers, the code and the results of the benchmarks."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from benchmarks import measured, performance
from tenfold.cli import app, data_app
from tenfold.recipe import (
    Checkpoint,
    DataSection,
    Distillation,
    EarlyStopping,
    EvaluateSection,
    Head,
    ModelSection,
    OptimizerSection,
    Plateau,
    TrainSection,
    header,
    options_of,
    shipped,
)
from tenfold.recipe.renamed import RENAMED
from tenfold.registry import AUGMENTATIONS, MODELS, OPTIMIZERS, Registry

DOCS = Path(__file__).parent.parent / "docs"
SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataSection, "model": ModelSection, "train": TrainSection, "train.head": Head,
    "train.distillation": Distillation,
    "train.early_stopping": EarlyStopping, "train.plateau": Plateau, "train.checkpoint": Checkpoint,
    "evaluate": EvaluateSection,
}


def recipes_page() -> str:
    """docs/recipes.md: every shipped recipe with the measurements in its header."""
    rows = [(name, header(text)) for name, text in shipped().items()]
    lines = [
        "# Recipes", "",
        "`make docs` generates this page from the headers of `tenfold/recipes/*.toml`. `python -m benchmarks.recipes`",
        "measures the figures. Accuracy is the mean ± standard deviation over the seeds, on the test split. The model",
        "is that of the best epoch on validation or, if the recipe says so, of the last. Seconds measure the training",
        "on the machine named below. The figures of `speed` and `accurate` come from [performance](performance.md) and",
        "the [lab notes](lab-notes.md).", "",
        "| recipe | description | accuracy | seconds |", "|---|---|---|---|",
        *(f"| `{name}` | {f['title']} | {f.get('accuracy', 'not measured')} | {f.get('seconds', 'not measured')} |"
          for name, f in rows), "",
    ]
    for name, f in rows:
        lines += [f"## {name}", "", f["title"], "", f"- origin: {f['origin']}", f"- command: `{f['command']}`",
                  f"- machine: {f.get('machine', 'not measured')}", ""]
    return "\n".join(lines)


def keys_page() -> str:
    """docs/recipe-keys.md: every key of a recipe."""
    lines = [
        "# Recipe keys", "",
        "`make docs` generates this page from the code. Set a key in a recipe file or with",
        '`--set section.key=value`. `none` (in a file: `"none"`) means no value.', "",
    ]
    for name, section in SECTIONS.items():
        lines += [f"## `[{name}]`", "", _first(section.__doc__), ""]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        for key, field in section.model_fields.items():
            kind = "text or table" if field.annotation is OptimizerSection else _type(field.annotation)
            lines.append(f"| `{name}.{key}` | {kind} | {_default(field.get_default())} | {field.description} |")
        lines.append("")
    lines += ["# Models", "", "`model.name` selects a model. Its options are further keys of `[model]`.", ""]
    lines += _functions(MODELS, "model")
    lines += ["# Optimizers", "", "`train.optimizer` is a name, as in `optimizer = \"sgd\"`, or a table with name and "
              "options, as in `optimizer = { name = \"sgd\", momentum = 0.8 }`. `--set train.optimizer=sgd` chooses "
              "another one with its default options.", ""]
    lines += _functions(OPTIMIZERS, "train.optimizer")
    lines += ["# Augmentations", "", "Each augmentation is a table `[train.augment.NAME]`. `train.augment.NAME=true` "
              "uses its defaults, `=false` switches it off. They run in the order below.", ""]
    lines += _functions(AUGMENTATIONS, "train.augment.{name}")
    lines += ["# Former names", "", "These keys have other names now. The former ones are still read, in files and "
              "with `--set`.", "", "| former key | key |", "|---|---|"]
    lines += [f"| `{former}` | `{key}` |" for former, key in RENAMED.items()]
    lines += ["| `train.optimizer = \"logistic-regression\"` | `train.fit = \"logistic-regression\"` |", "",
              "`train.views` counted the image itself: `views = 4` is `augmented_copies = 3`.", ""]
    return "\n".join(lines)


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, OptimizerSection):
        return _toml(value.name)
    if value is PydanticUndefined:
        return "needed"
    return "a table" if isinstance(value, BaseModel) else "none" if value is None else _toml(value)


def _functions(registry: Registry[Any], prefix: str) -> Iterator[str]:
    names: dict[Any, list[str]] = {}
    for name in registry.names():
        names.setdefault(registry.get(name), []).append(name)
    for function, (name, *others) in names.items():
        title = ", ".join(f"`{each}`" for each in (name, *others))
        yield from (f"## {title}", "", " ".join((inspect.getdoc(function) or "").split()), "")
        yield from ("| key | type | default |", "|---|---|---|")
        for key, field in options_of(function).model_fields.items():
            yield f"| `{prefix.format(name=name)}.{key}` | {_type(field.annotation)} | {_toml(field.get_default())} |"
        yield ""


def _toml(value: Any) -> str:
    return f"`{json.dumps(value)}`"


def _first(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


def _type(annotation: Any) -> str:
    """The name of a type for a reader of TOML."""
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return _type(parts[0])
    if kind is Literal:
        return ", ".join(f"`{choice}`" for choice in parts)
    if kind in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in parts if part is not type(None)))
    if kind is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "table"
    if kind in (list, tuple):
        return f"list of {_type(parts[0])}s"
    return {int: "whole number", float: "number", str: "text", bool: "true, false"}[annotation]


def commands_page() -> str:
    """docs/commands.md: the `--help` of every command."""
    lines = ["# Commands", "", "`make docs` generates this page from `--help`.", ""]
    for words in commands():
        shown = CliRunner().invoke(app, [*words, "--help"], prog_name="tenfold", terminal_width=100, color=False)
        lines += [f"## tenfold {' '.join(words)}".rstrip(), "", "```", shown.stdout.strip(), "```", ""]
    return "\n".join(lines)


def commands() -> list[list[str]]:
    """The words of every command: [], ["train"], …, ["data"], ["data", "list"], …"""
    group = typer.main.get_command(app)
    data = typer.main.get_command(data_app)
    return [[], *([name] for name in group.commands), *(["data", name] for name in data.commands)]  # type: ignore[attr-defined]


PAGES = {
    "recipes.md": recipes_page, "recipe-keys.md": keys_page, "commands.md": commands_page,
    "performance.md": performance.page, **measured.pages(),
}


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
