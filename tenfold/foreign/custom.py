"""Classes and functions of the user's own that a model file may name.

Keras creates them only if this process has them: registered with `keras.saving.register_keras_serializable`, in a file
that is loaded as `--plugin FILE.py` for example, or part of a model that was given in Python.
"""

from __future__ import annotations

import json
import types
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tenfold.backend import keras

_GIVEN: dict[str, Any] = {}  # parts of models that this process was given


def is_known(value: Any) -> bool:
    """Whether an object, or a class or function, comes with Keras or Tenfold."""
    kind = value if isinstance(value, type | types.FunctionType) else type(value)
    return kind.__module__.partition(".")[0] in ("keras", "tenfold", "builtins")


def remember(layers: Iterable[Any]) -> None:
    """Let this process load models with the classes of these layers, and of their activations, regularizers and so on.
    """
    for layer in layers:
        for part in (layer, *vars(layer).values()):
            named = part if isinstance(part, types.FunctionType) else type(part)
            if not is_known(named) and (named is part or hasattr(part, "get_config")):
                _GIVEN[keras.saving.get_registered_name(named)] = named
                _GIVEN[named.__name__] = named


def known() -> dict[str, Any]:
    """The user's own classes and functions that this process has, by name and by registered name."""
    registered = keras.saving.get_custom_objects()
    return {name.rpartition(">")[2]: value for name, value in registered.items()} | registered | _GIVEN


def name(model: Any, path: Path) -> None:
    """Give the layers of a model that was loaded from a `.keras` file the names that the file has for them.

    A class whose `get_config` tells no name gets another one each time.
    """
    entries = _config(path).get("config", {}).get("layers", []) if used_in(path) else []
    operations = getattr(model, "operations", [])  # a Sequential model has none
    if len(entries) == len(operations):
        for operation, entry in zip(operations, entries, strict=True):
            operation.name = entry["config"].get("name") or entry.get("name") or operation.name


def used_in(path: Path) -> list[str]:
    """The classes and functions in a `.keras` file that are not Keras' own, by name; none if it can't be read."""
    return list(dict.fromkeys(_used(_config(path))))


def _config(path: Path) -> dict[str, Any]:
    """The graph in a `.keras` file; empty if it can't be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = json.loads(archive.read("config.json"))
    except (OSError, ValueError, KeyError, RecursionError, zipfile.BadZipFile):
        return {}
    return found if isinstance(found, dict) else {}


def _used(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for each in value for name in _used(each)]
    if not isinstance(value, dict):
        return []
    found = [name for each in value.values() for name in _used(each)]
    own = value.get("registered_name") and not str(value.get("module")).startswith(("keras", "builtins"))
    return ([str(value["config"] if value.get("class_name") == "function" else value.get("class_name"))] if own
            else []) + found
