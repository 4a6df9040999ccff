"""Renamed and new keys: recipes and overrides of older versions are still read, and keep their meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.recipe.options import options_of
from tenfold.recipe.sections import OptimizerSection
from tenfold.registry import OPTIMIZERS

# Old key → new key. The first applies only to the model `cnn`, because other models may have an option of that name.
RENAMED = {
    "model.head": "model.pooling",
    "train.augment.crop.share": "train.augment.crop.fraction",
    "train.views": "train.augmented_copies",
    "train.momentum": "train.optimizer.momentum",
    "train.nesterov": "train.optimizer.nesterov",
    "train.weight_decay": "train.optimizer.weight_decay",
    "train.vector_learning_rate": "train.optimizer.vector_learning_rate",
    "train.logits_learning_rate": "train.optimizer.logits_learning_rate",
}

# Defaults of the optimizer options when they were still keys of [train], the same for every optimizer.
OLD_DEFAULTS = {"momentum": 0.9, "nesterov": True, "weight_decay": 0.0, "vector_learning_rate": 1.0,
                "logits_learning_rate": 1.0}


# The keys that every complete recipe of an older version has in [data], before there was `data.calibration`.
OLD_DATA = {"source", "classes", "train_size", "validation", "test", "seed"}


def key_now(key: str, model: str) -> str:
    """The current name of a key, in a recipe with that model."""
    return key if key == "model.head" and model != "cnn" else RENAMED.get(key, key)


def overrides_now(overrides: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The overrides with current key names; if a key is given under both names, the later one counts."""
    found: dict[str, Any] = {}
    for key, value in overrides.items():
        if key in ("train.optimizer", "train.optimizer.name") and value == "logistic-regression":
            found["train.fit"] = value
        else:
            found[key_now(key, model)] = _value_now(key, value)
    return found


def tree_now(tree: dict[str, Any], model: str) -> dict[str, Any]:
    """Rename the keys of a recipe's sections in place; a key that is given under both names stays as it is."""
    train = tree.get("train")
    if isinstance(train, dict):
        _move_fit(train)
        _drop_unused(train)
    data = tree.get("data")
    if isinstance(data, dict) and data.keys() >= OLD_DATA:  # complete: it holds out what it says, and no more
        data.setdefault("calibration", 0)
    for old in RENAMED:
        new = key_now(old, model)
        *path, last = old.split(".")
        table = _table(tree, path)
        if new == old or table is None or last not in table:
            continue
        *path, name = new.split(".")
        target = _table(tree, path, make=True)
        if target is not None and name not in target:
            target[name] = _value_now(old, table.pop(last))
    return tree


def _value_now(key: str, value: Any) -> Any:
    """`train.views` counted the original image; `train.augmented_copies` does not."""
    is_count = key == "train.views" and isinstance(value, int) and not isinstance(value, bool)
    return value - 1 if is_count else value


def _move_fit(train: dict[str, Any]) -> None:
    """Move logistic regression, formerly an optimizer, to `train.fit`."""
    if _optimizer(train) == "logistic-regression":
        train["fit"] = "logistic-regression"
        del train["optimizer"]


def _drop_unused(train: dict[str, Any]) -> None:
    """Remove old keys that the optimizer does not use: those with the old default, or all if the recipe is complete."""
    name = _optimizer(train)
    if name not in OPTIMIZERS:
        return  # reported later
    used = options_of(OPTIMIZERS.get(name)).model_fields
    complete = OLD_DEFAULTS.keys() <= train.keys()
    for key in [k for k in OLD_DEFAULTS if k in train and k not in used]:
        if complete or train[key] == OLD_DEFAULTS[key]:
            del train[key]


def _optimizer(train: dict[str, Any]) -> str:
    optimizer, default = train.get("optimizer", {}), OptimizerSection.model_fields["name"].default
    return str(optimizer.get("name", default) if isinstance(optimizer, dict) else "")


def _table(tree: dict[str, Any], path: list[str], make: bool = False) -> dict[str, Any] | None:
    """The table at a path; `make` creates it if missing. None if there is no table or the value is not a table."""
    for part in path:
        node = tree.setdefault(part, {}) if make else tree.get(part)
        if not isinstance(node, dict):
            return None
        tree = node
    return tree
