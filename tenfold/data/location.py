"""The directories for data sets and caches."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from tenfold.errors import UsageError
from tenfold.storage.paths import absent, expanded

ADVICE = "set TENFOLD_DATA to another directory"  # advice if a data set can't be written


def data_root() -> Path:
    """The directory of the data sets: `$TENFOLD_DATA`, or else `tenfold` in the platform's cache directory.

    The cache directory is `$XDG_CACHE_HOME` or `~/.cache` on Linux, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on
    Windows. The returned directory may not exist; it is not created here.
    """
    chosen = os.environ.get("TENFOLD_DATA")
    return _expanded("TENFOLD_DATA", chosen) if chosen else _cache()


def feature_root() -> Path:
    """The cache for features of frozen backbones, in `$TENFOLD_CACHE` or else `tenfold` in the platform's cache.

    It may be deleted at any time; the features are then computed again.
    """
    chosen = os.environ.get("TENFOLD_CACHE")
    return (_expanded("TENFOLD_CACHE", chosen) if chosen else _cache()) / "features"


def image_root() -> Path:
    """The cache for decoded images of own data sets, beside the features. It may be deleted at any time."""
    return feature_root().with_name("images")


def finding_root() -> Path:
    """The cache for findings of inspections, beside the features. It may be deleted at any time."""
    return feature_root().with_name("findings")


def model_root() -> Path:
    """The cache for Keras models given in Python, beside the features; their runs keep copies."""
    return feature_root().with_name("models")


def keras_cache() -> Path:
    """The directory of the data sets downloaded by Keras, in `$KERAS_HOME` or `~/.keras`."""
    home = os.environ.get("KERAS_HOME")
    return (_expanded("KERAS_HOME", home) if home else Path.home() / ".keras") / "datasets"


def _expanded(variable: str, text: str) -> Path:
    """The path in a variable, with `~` replaced; as it is where there is no such user. Raises UsageError."""
    path = expanded(text)
    reason = absent(path, "directory")
    if reason not in (None, "no such directory"):
        raise UsageError(f"{variable}: received {text}: {reason}; expected a directory")
    return path


def _cache() -> Path:
    return platformdirs.user_cache_path("tenfold", appauthor=False, opinion=False)
