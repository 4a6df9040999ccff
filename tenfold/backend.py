"""Imports Keras on PyTorch, whatever KERAS_BACKEND or keras.json say: Tenfold has one engine.

Keras makes everything on the processor; networks that are trained are moved to a GPU by the engine.
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
    raise EngineError(f"Keras already runs on {keras.backend.backend()!r} in this process; Tenfold needs 'torch': "
                      "import tenfold's modules first, or set KERAS_BACKEND=torch before importing keras")

__all__ = ["keras"]
