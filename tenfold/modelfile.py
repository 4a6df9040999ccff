"""`model.keras`: written with the class names inside, read back as a plain Keras model."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenfold.backend import keras
from tenfold.errors import RunError, first_line

MEMBER = "tenfold.json"


def save(model: keras.Model, path: Path, facts: dict[str, Any]) -> None:
    """Write a plain Keras model as `.keras`, with `facts` (class names and more) as a JSON member of the zip.

    Keras ignores the extra member. `path` must end in `.keras`.
    """
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, json.dumps(facts, indent=2, ensure_ascii=False))


def save_h5(model: keras.Model) -> Callable[[Path], None]:
    """A function that writes the model as HDF5, without Keras' advice to use its newer format instead."""

    def write(path: Path) -> None:
        from absl import logging

        before = logging.get_verbosity()
        logging.set_verbosity(logging.ERROR)
        try:
            model.save(path)
        finally:
            logging.set_verbosity(before)

    return write


def load(path: Path) -> keras.Model:
    """The model in a `.keras` file: pixels 0–255 in, probabilities out. Raises RunError if it is damaged."""
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        if not zipfile.is_zipfile(path):
            raise RunError(f"{path}: is damaged (no whole .keras file)") from None
        raise RunError(f"{path}: can't be loaded as a Keras model: {first_line(error)}") from None


def facts(path: Path) -> dict[str, Any]:
    """The facts that `save` put into the file: at least "classes" and "shape". Raises RunError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(MEMBER))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise RunError(f"{path}: is no model file that Tenfold wrote (it has no readable {MEMBER})") from None
