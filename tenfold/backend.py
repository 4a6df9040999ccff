"""Imports Keras on PyTorch, whatever KERAS_BACKEND or keras.json say: Tenfold has one engine."""

from __future__ import annotations

import os
import sys

from tenfold.errors import EngineError

if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "torch"

import keras

if keras.backend.backend() != "torch":
    raise EngineError(f"Keras already runs on {keras.backend.backend()!r} in this process; Tenfold needs 'torch': "
                      "import tenfold's modules first, or set KERAS_BACKEND=torch before importing keras")

__all__ = ["keras"]
