"""Which backend and device Keras has once Tenfold has imported it."""

from __future__ import annotations

import os
import subprocess
import sys


def printed(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_symbolic_shapes_work_after_shapes_were_computed_without_them() -> None:
    program = ("import sys, torch; from tenfold.backend import SHAPES, computing_shapes\n"
               "with computing_shapes():\n"
               "    from torch.fx.experimental.symbolic_shapes import ShapeEnv, guard_or_false\n"
               "    print(guard_or_false(2 > 1), 'sympy' in sys.modules)\n"
               "size = ShapeEnv().create_unbacked_symint()\n"
               "print(guard_or_false(size > 1), type(sys.modules[SHAPES]).__name__)")
    assert printed(program) == ["True", "True", "False", "module"]


def test_a_short_run_imports_neither_the_compiler_nor_scikit_learn(tmp_path) -> None:
    slow = {"torch._dynamo", "sympy", "sklearn", "scipy.stats", "scipy.optimize", "pandas", "jax", "matplotlib.pyplot",
            "requests"}
    program = ("import sys, tenfold; recipe = tenfold.Recipe.load('mlp').replace({'train.epochs': 1}); "
               f"tenfold.train(recipe, 'digits', runs={str(tmp_path)!r}); print(*{slow} & set(sys.modules), 'trained')")
    assert printed(program) == ["trained"]


def test_what_keras_has_not_imported_is_imported_on_first_use() -> None:
    program = ("import numpy, sys; from tenfold.backend import keras; "
               "print(keras.wrappers.SKLearnClassifier.__name__, 'sklearn' in sys.modules); "
               "import matplotlib.pyplot; plots = keras.visualization.plot_image_gallery.__globals__['plt']; "
               "print(plots.subplots is matplotlib.pyplot.subplots)")
    assert printed(program) == ["SKLearnClassifier", "True", "True"]


def test_keras_takes_tables_of_pandas_that_is_imported_later() -> None:
    program = ("import sys; from tenfold.backend import keras; model = keras.Sequential([keras.layers.Dense(3)]); "
               "print('pandas' in sys.modules); import pandas; table = pandas.DataFrame({'a': [1.0, 2.0]}); "
               "print(*model.predict(table, verbose=0).shape); model.compile(loss='mse'); "
               "print(len(model.fit(table, table['a'], epochs=1, verbose=0).history['loss']))")
    assert printed(program) == ["False", "2", "3", "1"]


def test_random_numbers_of_keras_can_be_compiled_around() -> None:
    program = ("from tenfold.backend import keras; import torch, torch._dynamo; "
               "draw = torch.compile(lambda: keras.random.normal((2,), seed=keras.random.SeedGenerator(1)) + 1, "
               "backend='eager'); print(*draw().shape)")
    assert printed(program) == ["2"]


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
