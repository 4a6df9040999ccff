"""The runtime `fast`: computes the model of a run with the fast layers, in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tenfold import machine, modelfile
from tenfold.models import twin
from tenfold.models.inference import compiled
from tenfold.models.layers import keras
from tenfold.recipe import ModelSection
from tenfold.registry import RUNTIMES
from tenfold.runtimes.predictor import BATCH, in_batches

if TYPE_CHECKING:
    from tenfold.run import Run


@RUNTIMES.add("fast")
def fast(run: Run) -> Fast:
    """Open a run's model, or take the last one opened if it is the same. Raises RunError if the run has none."""
    machine.configure("float32")
    path = run.path / "model.keras"
    if not path.is_file():
        run.model()  # raises
    recipe = run.recipe().model.model_dump_json() if run.has("recipe.toml") else ""
    return _opened(run.path.absolute(), modelfile.network_stamp(path), recipe)


@lru_cache(maxsize=1)
def _opened(path: Path, stamp: tuple[Any, ...], recipe: str) -> Fast:
    """The model in a run directory; `stamp` and `recipe` change with the model."""
    plain = modelfile.shared(path / "model.keras")
    facts = modelfile.check_facts(path / "model.keras", plain)
    return Fast(twin(ModelSection.model_validate_json(recipe) if recipe else None, plain), facts)


def softmax(logits: np.ndarray) -> np.ndarray:
    """The probabilities float32 [n, k] of logits float32 [n, k]."""
    found: np.ndarray = torch.softmax(torch.from_numpy(np.ascontiguousarray(logits)), dim=1).numpy()
    return found


class Fast:
    """A Predictor that rebuilds the model of a run with fast layers.

    Without the run's recipe, it uses the graph in `model.keras`: the same numbers, but some layers are slower.
    """

    def __init__(self, network: keras.Model, facts: Mapping[str, Any]) -> None:
        self.classes: tuple[str, ...] = tuple(facts["classes"])
        self.shape: tuple[int, int, int] = tuple(facts["shape"])
        self._last = next(layer for layer in reversed(network.layers) if layer.output is network.outputs[0])
        self._body = compiled(keras.Model(network.inputs, self._last.input))

    def predict(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return softmax(self.logits(images, batch_size))

    def logits(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self._rows(self._last, images, len(self.classes), batch_size)

    def features(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self._rows(lambda x: x, images, self._last.input.shape[-1], batch_size)

    def logits_and_features(self, images: Any, batch_size: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
        count = len(self.classes)
        rows = self._rows(lambda x: torch.cat([self._last(x), x], dim=1), images,
                          count + self._last.input.shape[-1], batch_size)
        return rows[:, :count], rows[:, count:]

    def of_features(self, features: np.ndarray) -> np.ndarray:
        """The logits, float32 [n, k], of features float32 [n, d]."""
        with torch.inference_mode():
            found: np.ndarray = self._last(torch.from_numpy(features)).numpy()
            return found

    def _rows(self, finish: Callable[[torch.Tensor], torch.Tensor], images: Any, columns: int,
              batch_size: int) -> np.ndarray:
        """The rows that `finish` computes from the features of the images."""

        def compute(batch: np.ndarray) -> np.ndarray:
            pixels = torch.from_numpy(batch.astype(np.float32)).permute(0, 3, 1, 2)
            return finish(self._body(pixels)).numpy()

        with torch.inference_mode():
            return in_batches(compute, images, self.shape, columns, batch_size)
