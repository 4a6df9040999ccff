"""Leaves out imports that other libraries make at once and use seldom. They cost half the time of a short run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class Later(ModuleType):
    """Stands for a module until one of its names is used; then imports it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks for these
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


class _Unseen(type):
    """A class of a module that may not be imported. Until it is, nothing is an instance of the class."""

    def __instancecheck__(cls, value: object) -> bool:
        module = sys.modules.get(cls.__module__)
        return module is not None and isinstance(value, getattr(module, cls.__name__))


def unseen(module: str, name: str) -> type:
    """A stand-in for a class, which can only be asked for its instances."""
    return _Unseen(name, (), {"__module__": module})


@contextmanager
def importing_later(*modules: ModuleType | str) -> Iterator[None]:
    """Within the block, an import of one of these modules gives a stand-in, unless it is already imported.

    A module may be given by its name or as its stand-in. Afterwards, each `import` statement gives the real module.
    """
    stand_ins = [Later(each) if isinstance(each, str) else each for each in modules]
    stand_ins = [each for each in stand_ins if each.__name__ not in sys.modules]
    sys.modules.update((each.__name__, each) for each in stand_ins)
    for each in stand_ins:
        package, _, name = each.__name__.rpartition(".")
        if isinstance(sys.modules.get(package), Later):
            setattr(sys.modules[package], name, each)
    try:
        yield
    finally:
        for each in stand_ins:
            if sys.modules.get(each.__name__) is each:
                del sys.modules[each.__name__]
