"""Registries of everything that has a name: data sets, models, optimizers, augmentations, metrics, findings, plots.

Each entry registers itself where it is defined. On its first use, a registry imports the modules with its entries, so
adding an entry means adding one function or one file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from tenfold.errors import UnknownNameError
from tenfold.plugins import load_installed, load_named

T = TypeVar("T")


class Registry(Generic[T]):
    """The entries of one kind by name, in the order in which they were added.

    `home` is the module or package whose import registers them. All modules of a package are imported except those in
    `without`, which register nothing and import the engine. With `by_file`, each module of the package registers one
    entry under the module's own name, and only those asked for are imported.
    """

    def __init__(self, kind: str, home: str, without: tuple[str, ...] = (), by_file: bool = False) -> None:
        self.kind = kind
        self._home, self._without, self._by_file = home, without, by_file
        self._entries: dict[str, T] = {}
        self._modules: dict[str, str] = {}  # in which the entries are
        self._complete = False

    def add(self, name: str, module: str | None = None) -> Callable[[T], T]:
        """Decorator: register the function or class under `name`. Raises ValueError if the name is taken.

        module: the one that the entry belongs to, by default that of the function or class.
        """

        def register(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"two {self.kind}s are named {name!r}")
            self._entries[name] = entry
            self._modules[name] = module or entry.__module__
            return entry

        return register

    def get(self, name: str) -> T:
        """The entry named `name`. Raises UnknownNameError, which suggests the nearest name."""
        known = self.names()
        if name not in known:
            raise UnknownNameError(self.kind, name, known)
        if self._by_file:
            importlib.import_module(f"{self._home}.{name}")
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, in the order of registration; with `by_file`, in alphabetical order."""
        if self._by_file:
            home = importlib.import_module(self._home)
            return [module.name for module in pkgutil.iter_modules(home.__path__) if module.name not in self._without]
        self._discover()
        return list(self._entries)

    def registered(self) -> list[str]:
        """The names registered so far, in order; imports nothing."""
        return list(self._entries)

    def modules(self) -> set[str]:
        """The modules of the entries registered so far; imports nothing."""
        return set(self._modules.values())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def _discover(self) -> None:
        if self._complete:
            return
        self._complete = True  # the modules may ask for names themselves
        try:
            home = importlib.import_module(self._home)
            places = {self._home: 0}
            for module in pkgutil.walk_packages(getattr(home, "__path__", []), f"{self._home}."):
                if module.name.rpartition(".")[2] not in self._without:
                    importlib.import_module(module.name)
                    places[module.name] = len(places)
            # Whatever was imported first, the order is that of the modules, and theirs.
            self._entries = dict(sorted(self._entries.items(),
                                        key=lambda each: places.get(self._modules[each[0]], len(places))))
            load_installed()
            load_named()
        except BaseException:
            self._complete = False  # the next look-up raises the same error instead of an unknown name
            raise


DATASETS: Registry[Callable] = Registry("data set", "tenfold.data")
MODELS: Registry[Callable] = Registry("model", "tenfold.models", without=(
    "layers", "masks", "in_place", "depthwise", "resizing", "fused", "inference", "summary", "backbone", "weights",
    "efficientnet_lite", "classifier", "compiled", "given", "twins", "ensemble"))
OPTIMIZERS: Registry[Callable] = Registry("optimizer", "tenfold.training.optimizers")
AUGMENTATIONS: Registry[Callable] = Registry("augmentation", "tenfold.training.augment")
RUNTIMES: Registry[Callable] = Registry("runtime", "tenfold.runtimes", without=("exported", "predictor", "views"),
                                        by_file=True)
FORMATS: Registry[Any] = Registry("export format", "tenfold.export.formats", by_file=True)
CORRUPTIONS: Registry[Callable] = Registry("corruption", "tenfold.evaluation.corruptions")
METRICS: Registry[Callable] = Registry("metric", "tenfold.evaluation.metrics")
FINDINGS: Registry[Any] = Registry("finding", "tenfold.inspection.kinds")
PLOTS: Registry[Callable] = Registry("plot", "tenfold.report.plots")
ALL: tuple[Registry[Any], ...] = (DATASETS, MODELS, OPTIMIZERS, AUGMENTATIONS, RUNTIMES, FORMATS, CORRUPTIONS, METRICS,
                                  FINDINGS, PLOTS)
