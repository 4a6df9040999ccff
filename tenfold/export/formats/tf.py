"""TensorFlow: a SavedModel, its facts in the file `assets.extra/tenfold.json`, which TensorFlow leaves alone."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tenfold.export import savedmodel
from tenfold.export.formats import Answer, Format
from tenfold.export.formats import keras as keras_format
from tenfold.export.source import Source
from tenfold.registry import FORMATS
from tenfold.runtimes.exported import KEY, OUTPUTS


def write(source: Source, path: Path) -> None:
    savedmodel.python()  # told before the model is written
    with tempfile.TemporaryDirectory(prefix="tenfold-export-") as folder:
        model = Path(folder) / "model.keras"
        keras_format.write(source, model)
        savedmodel.write(model, path, OUTPUTS)
    extra = path / "assets.extra"
    extra.mkdir()
    (extra / f"{KEY}.json").write_text(json.dumps(source.facts, ensure_ascii=False), encoding="utf-8")


def read(path: Path) -> Answer:
    return savedmodel.Computed(path)


FORMATS.add("tf")(Format(".savedmodel", write, read, folder="saved_model.pb"))
