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


def _keras_after(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KERAS_")}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env={**environment, **variables})


def test_keras_imported_after_tenfold_runs_on_pytorch_and_the_cpu() -> None:
    done = _keras_after("import tenfold, keras; print(keras.backend.backend(), keras.Variable(1.0).value.device)")
    assert done.stdout.split() == ["torch", "cpu"], done.stderr


def test_another_backend_imported_before_gets_one_line() -> None:
    program = ("import keras, tenfold\nfrom tenfold.errors import EngineError\n"
               "try:\n    tenfold.train('mlp', 'digits')\nexcept EngineError as error:\n    print(error)")
    done = _keras_after(program, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    assert done.stdout.count("\n") == 1, done.stderr
    assert "received 'jax'" in done.stdout
    assert "import tenfold before keras" in done.stdout


def test_importing_tenfold_prints_nothing_and_imports_no_engine() -> None:
    done = _keras_after("import sys, tenfold; assert not {'keras', 'torch'} & set(sys.modules)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
