"""Imports Keras with the PyTorch backend, whatever KERAS_BACKEND or keras.json say.

Keras creates all tensors on the CPU; the training engine moves a network to a GPU.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tenfold.errors import EngineError
from tenfold.later import Later, LaterFunctions, importing_later, real, unseen

SHAPES = "torch.fx.experimental.symbolic_shapes"
WITHOUT_SYMBOLS: dict[str, Callable[..., Any]] = {  # functions of that module, for sizes and conditions that are known
    **dict.fromkeys(("expect_true", "guard_or_false", "guard_or_true", "guard_size_oblivious", "statically_known_true"),
                    bool),
    "is_nested_int": lambda size: False, "sym_eq": operator.eq,
    "sym_and": lambda *conditions: all(conditions), "sym_or": lambda *conditions: any(conditions),
}

if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "torch"
    os.environ["KERAS_TORCH_DEVICE"] = "cpu"


def compiler() -> Later:
    """A stand-in for `torch._dynamo`, which takes a second to import: others only mark functions not to compile."""
    stand_in = Later("torch._dynamo")
    stand_in.disable = _disable  # type: ignore[attr-defined]
    return stand_in


def _algebra() -> Later:
    """A stand-in for sympy: PyTorch only looks whether numbers are symbols."""
    sympy = Later("sympy")
    sympy.Basic = unseen("sympy.core.basic", "Basic")  # type: ignore[attr-defined]
    return sympy


class _Symbols(LaterFunctions):
    """A stand-in for PyTorch's symbolic shapes, which import sympy; some functions do so only for a symbol."""

    def __getattr__(self, name: str) -> Any:
        return functools.partial(_called, name) if name in WITHOUT_SYMBOLS else super().__getattr__(name)


def _called(name: str, *values: Any) -> Any:
    known = all(map(_without_symbols, values))
    return WITHOUT_SYMBOLS[name](*values) if known else real(SHAPES, name)(*values)


def _without_symbols(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, tuple) and all(map(_without_symbols, value)))


def computing_shapes() -> contextlib.AbstractContextManager[None]:
    """A block in which PyTorch finds shapes on its meta device without importing its compiler and sympy.

    They take a second.
    """
    return importing_later(compiler(), _algebra(), _Symbols(SHAPES))


def _disable(function: Callable[..., Any] | None = None, *options: Any, **more: Any) -> Callable[..., Any]:
    """`torch._dynamo.disable`, but the compiler is told only in a call after it was imported."""
    if function is None:
        return lambda function: _disable(function, *options, **more)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        imported = sys.modules.get("torch._dynamo")
        if imported is None or isinstance(imported, Later):
            return function(*args, **kwargs)
        return imported.disable(function, *options, **more)(*args, **kwargs)

    return called


def _jax() -> Later:
    """A stand-in for JAX: Keras only looks whether it has a function that it lacked in old versions."""
    jax = Later("jax")
    jax.monitoring = SimpleNamespace(record_scalar=None)  # type: ignore[attr-defined]
    return jax


def _pandas() -> Later:
    """A stand-in for pandas: Keras only looks whether it was given one of its tables."""
    pandas = Later("pandas")
    for name in ("Series", "DataFrame"):
        setattr(pandas, name, unseen("pandas", name))
    return pandas


# What Keras needs for plots, tables, notebooks, remote servers and scikit-learn's estimators.
with importing_later(compiler(), _jax(), _pandas(), "IPython", "requests", "matplotlib", "matplotlib.pyplot",
                     "matplotlib.patches", "keras.wrappers", "keras._tf_keras.keras.wrappers"):
    import keras

if keras.backend.backend() != "torch":
    raise EngineError(f"Keras backend: received {keras.backend.backend()!r}, already imported in this process; "
                      "expected 'torch': import tenfold before keras, or set KERAS_BACKEND=torch first")

__all__ = ["compiler", "computing_shapes", "keras"]
