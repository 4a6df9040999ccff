"""Model files for tests: an ordinary one, and copies of it that somebody has changed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from tenfold.backend import keras

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def network(units: int = 4, name: str = "small") -> keras.Model:
    """A small network of an ordinary kind, with weights of its own."""
    inputs = x = keras.Input((16, 16, 3), name="pixels")
    x = keras.layers.Conv2D(units, 3, strides=2, padding="same", name="conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Activation("relu", name="act")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x), name=name)


def rewritten(source: Path, target: Path, graph: Callable[[dict], Any] | None = None,
              weights: Callable[[h5py.File], Any] | None = None, more: dict[str, bytes] | None = None) -> Path:
    """A copy of a `.keras` file with its graph or its weights changed, or with further members."""
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in MEMBERS}
    if graph:
        config = json.loads(parts["config.json"])
        graph(config)
        parts["config.json"] = json.dumps(config).encode()
    if weights:
        stored = target.with_suffix(".h5")
        stored.write_bytes(parts["model.weights.h5"])
        with h5py.File(stored, "r+") as file:
            weights(file)
        parts["model.weights.h5"] = stored.read_bytes()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**parts, **(more or {})}.items():
            archive.writestr(name, content)
    return target


def layer(config: dict, name: str) -> dict:
    return next(each for each in config["config"]["layers"] if each["name"] == name)
