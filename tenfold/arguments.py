"""Checks of the arguments of Python functions, before anything is read or written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.errors import UsageError, type_of


def whole(name: str, value: Any, least: int) -> int:
    """A whole number that is at least `least`, such as a numpy integer. Raises UsageError."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise UsageError(f"{name}: received {value!r:.40}; expected a whole number of at least {least}")
    if value < least:
        raise UsageError(f"{name}: received {value}; expected at least {least}")
    return int(value)


def path(name: str, value: Any) -> Path:
    """A path, also from text. Raises UsageError."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name}: received {value!r:.40}; expected a path")
    return Path(value)


def by_key(name: str, value: Any) -> Mapping[str, Any]:
    """Values by key; None stands for none. Raises UsageError."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{name}: received {type_of(value)}; expected a dictionary of values by key, as in "
                         '{"train.epochs": 3}')
    return value
