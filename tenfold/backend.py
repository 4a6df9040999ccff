"""Imports Keras with the PyTorch backend, whatever KERAS_BACKEND or keras.json say.

Keras creates all tensors on the CPU; the training engine moves a network to a GPU.
"""

from __future__ import annotations

import os
import sys

from tenfold.errors import EngineError

if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "torch"
    os.environ["KERAS_TORCH_DEVICE"] = "cpu"

import keras

if keras.backend.backend() != "torch":
    raise EngineError(f"Keras backend: received {keras.backend.backend()!r}, already imported in this process; "
                      "expected 'torch': import tenfold before keras, or set KERAS_BACKEND=torch first")

__all__ = ["keras"]
