"""The runtime `keras`: computes `model.keras` with Keras itself, as the reference for other runtimes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tenfold import machine, modelfile
from tenfold.backend import keras
from tenfold.registry import RUNTIMES
from tenfold.runtimes.predictor import BATCH, in_batches

if TYPE_CHECKING:
    from tenfold.run import Run


AT_ONCE = 1 << 30  # bytes that all layers may give for the images that a plain model gets at once: it keeps them all


def few_at_once(images: np.ndarray, model: keras.Model) -> Iterator[np.ndarray]:
    """The images [n, h, w, c] in parts for which a plain model has enough memory; one part if n is 0."""
    size = max(1, AT_ONCE // max(1, 4 * _numbers(model)))
    return (images[start : start + size] for start in range(0, max(1, len(images)), size))


def _numbers(model: keras.Model) -> int:
    """How many numbers all layers of a model give for an image."""
    inner = sum(_numbers(layer) for layer in model.layers if isinstance(layer, keras.Model))
    outputs = keras.tree.flatten([layer.output for layer in model.layers if not isinstance(layer, keras.Model)])
    return inner + sum(math.prod(side or 1 for side in each.shape[1:]) for each in outputs)


@RUNTIMES.add("keras")
class Plain:
    """A Predictor that calls the plain model of a run."""

    def __init__(self, run: Run) -> None:
        """Load the model and configure the process. Raises RunError if the run has none."""
        machine.configure("float32")
        self._model = run.model()
        facts = modelfile.check_facts(run.path / "model.keras", self._model)
        self.classes: tuple[str, ...] = tuple(facts["classes"])
        self.shape: tuple[int, int, int] = tuple(facts["shape"])

    @cached_property
    def _logits(self) -> keras.Model:
        return keras.Model(self._model.inputs, self._model.get_layer("logits").output)

    @cached_property
    def _features(self) -> keras.Model:
        return keras.Model(self._model.inputs, self._model.get_layer("logits").input)

    @cached_property
    def _both(self) -> keras.Model:
        layer = self._model.get_layer("logits")
        return keras.Model(self._model.inputs, keras.layers.Concatenate()([layer.output, layer.input]))

    def predict(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self._rows(self._model, images, batch_size)

    def logits(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self._rows(self._logits, images, batch_size)

    def features(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self._rows(self._features, images, batch_size)

    def logits_and_features(self, images: Any, batch_size: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
        count = len(self.classes)
        rows = self._rows(self._both, images, batch_size)
        return rows[:, :count], rows[:, count:]

    def _rows(self, model: keras.Model, images: Any, batch_size: int) -> np.ndarray:
        def compute(batch: np.ndarray) -> np.ndarray:
            return np.concatenate([model(torch.from_numpy(part.astype(np.float32)), training=False).numpy()
                                   for part in few_at_once(batch, model)])

        with torch.inference_mode():
            return in_batches(compute, images, self.shape, model.output_shape[-1], batch_size)
