"""Which backend and device Keras has once Tenfold has imported it."""

from __future__ import annotations

import os
import subprocess
import sys


def test_keras_runs_on_pytorch_and_the_cpu_for_any_environment() -> None:
    program = ("from tenfold.backend import keras; "
               "print(keras.backend.backend(), keras.Variable(1.0).value.device)")
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True,
                          env={**os.environ, "KERAS_BACKEND": "jax", "KERAS_TORCH_DEVICE": "meta"})
    assert done.stdout.split() == ["torch", "cpu"]
