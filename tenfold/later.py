"""Leaves out imports that other libraries make at once and use seldom. They cost half the time of a short run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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


class LaterFunctions(Later):
    """A stand-in whose names in lower case are functions and objects that import the module when they are used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not name.islower():
            return super().__getattr__(name)
        return _Name(self.__name__, name)


class _Name:
    """Stands for a function or an object of a module."""

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def __call__(self, *values: Any, **options: Any) -> Any:
        return real(*self._place)(*values, **options)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(real(*self._place), attribute)


def real(module: str, name: str) -> Any:
    """The real attribute of a module, whose stand-in is removed first."""
    if isinstance(sys.modules.get(module), Later):
        del sys.modules[module]
    return getattr(importlib.import_module(module), name)


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


def importing_sklearn() -> AbstractContextManager[None]:
    """A block for imports of scikit-learn, which takes half the time without pandas and `scipy.stats`.

    pandas is not needed, and of `scipy.stats` only functions in calls.
    """
    return importing_later("pandas", LaterFunctions("scipy.stats"))
