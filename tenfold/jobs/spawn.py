"""Starts functions in processes of their own.

In each new process, Python runs the user's script again, up to its `if __name__ == "__main__":`. A script without that
line would begin its work again in every process. Here it is run again only if it registered something: a model, say,
that the processes would lack.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import types
from collections.abc import Callable, Iterator
from multiprocessing.context import SpawnProcess
from typing import Any

from tenfold.registry import ALL

ELSEWHERE = ("tenfold.", "tenfold_plugin_", "keras.")  # modules that processes find without the script


def start(function: Callable[..., object], *arguments: Any) -> SpawnProcess:
    """A new process that calls a function of a module; it ends with this one."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    process = context.Process(target=function, args=arguments, daemon=True)
    with contextlib.nullcontext() if runs_script() else _without_script():
        process.start()
    return process


def runs_script() -> bool:
    """Whether new processes run the user's script again, because it, or a module that it imports, registered something.
    """
    keras = sys.modules.get("keras")
    classes = keras.saving.get_custom_objects().values() if keras else ()
    modules = {name for registry in ALL for name in registry.modules()} | {each.__module__ for each in classes}
    return any(not name.startswith(ELSEWHERE) for name in modules)


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """A context in which a new process gets an empty main module instead of the script."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
