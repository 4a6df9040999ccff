"""The search for the best recipe: its space, trials that resume, pruning, an honest verdict on the winner."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from tenfold.errors import MissingExtraError

if TYPE_CHECKING:
    from tenfold.search.tuning import tune as tune

__all__ = ["tune"]


def __getattr__(name: str) -> Any:
    """`tune` needs Optuna, so it is imported on use. Raises MissingExtraError without it."""
    if name not in __all__:
        raise AttributeError(f"module 'tenfold.search' has no attribute {name!r}")
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("a search needs Optuna: pip install 'tenfold[tune]'")
    from tenfold.search.tuning import tune

    return tune
