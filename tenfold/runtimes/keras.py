"""The runtime `keras`: computes `model.keras` with Keras itself, as the reference for other runtimes."""

from __future__ import annotations

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
            return model(torch.from_numpy(batch.astype(np.float32)), training=False).numpy()

        with torch.inference_mode():
            return in_batches(compute, images, self.shape, model.output_shape[-1], batch_size)
