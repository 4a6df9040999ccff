"""Registries of data sets, models, optimizers, augmentations, runtimes, metrics, corruptions and plots.

Each entry registers itself where it is defined. On its first use, a registry imports the modules with its entries, so
adding an entry means adding one function or one file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Generic, TypeVar

from tenfold.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """The entries of one kind by name, in the order in which they were added.

    `home` is the module or package whose import registers them. All modules of a package are imported except those in
    `without`, which register nothing and import the engine.
    """

    def __init__(self, kind: str, home: str, without: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._home, self._without = home, without
        self._entries: dict[str, T] = {}
        self._complete = False

    def add(self, name: str) -> Callable[[T], T]:
        """Decorator: register the function or class under `name`. Raises ValueError if the name is taken."""

        def register(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"two {self.kind}s are named {name!r}")
            self._entries[name] = entry
            return entry

        return register

    def get(self, name: str) -> T:
        """The entry named `name`. Raises UnknownNameError, which suggests the nearest name."""
        self._discover()
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, self._entries)
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        self._discover()
        return list(self._entries)

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def _discover(self) -> None:
        if self._complete:
            return
        self._complete = True  # the modules may ask for names themselves
        try:
            home = importlib.import_module(self._home)
            for module in pkgutil.walk_packages(getattr(home, "__path__", []), f"{self._home}."):
                if module.name.rpartition(".")[2] not in self._without:
                    importlib.import_module(module.name)
        except BaseException:
            self._complete = False  # the next look-up raises the same error instead of an unknown name
            raise


DATASETS: Registry[Callable] = Registry("data set", "tenfold.data")
MODELS: Registry[Callable] = Registry("model", "tenfold.models", without=(
    "layers", "depthwise", "summary", "backbone", "weights", "efficientnet_lite"))
OPTIMIZERS: Registry[Callable] = Registry("optimizer", "tenfold.training.optimizers")
AUGMENTATIONS: Registry[Callable] = Registry("augmentation", "tenfold.training.augment")
RUNTIMES: Registry[Callable] = Registry("runtime", "tenfold.runtimes", without=("predictor", "views"))
CORRUPTIONS: Registry[Callable] = Registry("corruption", "tenfold.evaluation.corruptions")
METRICS: Registry[Callable] = Registry("metric", "tenfold.evaluation.metrics")
PLOTS: Registry[Callable] = Registry("plot", "tenfold.report.plots")
