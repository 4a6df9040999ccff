"""Computes Keras models and PyTorch modules for the export: everything here that needs PyTorch itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tenfold.backend import keras
from tenfold.runtimes.keras import few_at_once


def compute(model: Any, images: np.ndarray) -> list[np.ndarray]:
    """The outputs of a Keras model with several of them, for uint8 [n, height, width, channels]."""
    with torch.inference_mode():
        found = [keras.tree.flatten(model(torch.from_numpy(part.astype(np.float32)), training=False))
                 for part in few_at_once(images, model)]
    return [np.concatenate([output.numpy() for output in of]) for of in zip(*found, strict=True)]


class Raw(torch.nn.Module):
    """A fast network (see `models.layers`) behind raw pixels, with the four outputs of every export."""

    def __init__(self, network: keras.Model, temperature: float) -> None:
        super().__init__()
        last = next(layer for layer in reversed(network.layers) if layer.output is network.outputs[0])
        # a tuple hides the layers: PyTorch would store their weights beside those in the exported graph
        self._layers, self.temperature = (keras.Model(network.inputs, last.input), last), temperature

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """uint8 [n, height, width, channels] → probabilities, calibrated, features, logits."""
        body, last = self._layers
        features = body(pixels.to(torch.float32).permute(0, 3, 1, 2), training=False)
        logits = last(features)
        return torch.softmax(logits, 1), torch.softmax(logits / self.temperature, 1), features.clone(), logits.clone()
