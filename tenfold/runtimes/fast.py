"""The runtime `fast`: computes the model of a run with the fast layers, in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tenfold import modelfile
from tenfold.models import twin
from tenfold.models.layers import forward, keras
from tenfold.registry import RUNTIMES
from tenfold.runtimes.predictor import BATCH, in_batches

if TYPE_CHECKING:
    from tenfold.run import Run


@RUNTIMES.add("fast")
class Fast:
    """A Predictor that rebuilds the model of a run with fast layers.

    Without the run's recipe, it uses the graph in `model.keras`: the same numbers, but some layers are slower.
    """

    def __init__(self, run: Run) -> None:
        """Load the model. Raises RunError if the run has none."""
        plain = run.model()
        facts = modelfile.facts(run.path / "model.keras")
        self.classes: tuple[str, ...] = tuple(facts["classes"])
        self.shape: tuple[int, int, int] = tuple(facts["shape"])
        network = twin(run.recipe().model if run.has("recipe.toml") else None, plain)
        self._last = next(layer for layer in reversed(network.layers) if layer.output is network.outputs[0])
        self._body = forward(keras.Model(network.inputs, self._last.input))

    def predict(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self._rows(lambda x: torch.softmax(self._last(x), dim=1), images, len(self.classes), batch_size)

    def logits(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self._rows(self._last, images, len(self.classes), batch_size)

    def features(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self._rows(lambda x: x, images, self._last.input.shape[-1], batch_size)

    def _rows(self, finish: Callable[[torch.Tensor], torch.Tensor], images: Any, columns: int,
              batch_size: int) -> np.ndarray:
        """The rows that `finish` computes from the features of the images."""

        def compute(batch: np.ndarray) -> np.ndarray:
            pixels = torch.from_numpy(batch.astype(np.float32)).permute(0, 3, 1, 2)
            return finish(self._body(pixels, training=False)).numpy()

        with torch.inference_mode():
            return in_batches(compute, images, self.shape, columns, batch_size)
