"""Named things: data sets, models, optimizers, augmentations, runtimes, metrics, corruptions, plots.

A thing registers itself where it is defined; the registry imports the modules that may hold its
things when it is first asked, so adding one means adding one function (or one file), nowhere else.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Generic, TypeVar

from tenfold.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """The things of one kind by name, in the order in which they were added.

    `home` is the module or package whose import registers them (a package with all its modules but
    those named in `without`: they import the engine and register nothing).
    """

    def __init__(self, kind: str, home: str, without: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._home, self._without = home, without
        self._things: dict[str, T] = {}
        self._complete = False

    def add(self, name: str) -> Callable[[T], T]:
        """Decorator: register the thing under `name`. Raises ValueError if the name is taken."""

        def register(thing: T) -> T:
            if name in self._things:
                raise ValueError(f"two {self.kind}s are named {name!r}")
            self._things[name] = thing
            return thing

        return register

    def get(self, name: str) -> T:
        """The thing of that name. Raises UnknownNameError, with the nearest name, if there is none."""
        self._discover()
        if name not in self._things:
            raise UnknownNameError(self.kind, name, self._things)
        return self._things[name]

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        self._discover()
        return list(self._things)

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._things

    def _discover(self) -> None:
        if self._complete:
            return
        self._complete = True
        home = importlib.import_module(self._home)
        for module in pkgutil.iter_modules(getattr(home, "__path__", [])):
            if module.name not in self._without:
                importlib.import_module(f"{self._home}.{module.name}")


DATASETS: Registry[Callable] = Registry("data set", "tenfold.data")
MODELS: Registry[Callable] = Registry("model", "tenfold.models", without=("layers", "summary", "backbone", "weights"))
OPTIMIZERS: Registry[Callable] = Registry("optimizer", "tenfold.training.optimizers")
AUGMENTATIONS: Registry[Callable] = Registry("augmentation", "tenfold.training.augment")
RUNTIMES: Registry[Callable] = Registry("runtime", "tenfold.runtimes", without=("predictor", "views"))
CORRUPTIONS: Registry[Callable] = Registry("corruption", "tenfold.evaluation.corruptions")
METRICS: Registry[Callable] = Registry("metric", "tenfold.evaluation.metrics")
PLOTS: Registry[Callable] = Registry("plot", "tenfold.report.plots")
