"""The directories for data sets and caches."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import platformdirs

ADVICE = "set TENFOLD_DATA to another directory"  # advice if a data set can't be written


def data_root() -> Path:
    """The directory of the data sets: `$TENFOLD_DATA`, or else `tenfold` in the platform's cache directory.

    The cache directory is `$XDG_CACHE_HOME` or `~/.cache` on Linux, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on
    Windows. The returned directory may not exist; it is not created here.
    """
    chosen = os.environ.get("TENFOLD_DATA")
    if chosen:
        return _expanded(chosen)
    return _cache()


def feature_root() -> Path:
    """The cache for features of frozen backbones, in `$TENFOLD_CACHE` or else `tenfold` in the platform's cache.

    It may be deleted at any time; the features are then computed again.
    """
    chosen = os.environ.get("TENFOLD_CACHE")
    return (_expanded(chosen) if chosen else _cache()) / "features"


def image_root() -> Path:
    """The cache for decoded images of own data sets, beside the features. It may be deleted at any time."""
    return feature_root().with_name("images")


def keras_cache() -> Path:
    """The directory of the data sets downloaded by Keras, in `$KERAS_HOME` or `~/.keras`."""
    home = os.environ.get("KERAS_HOME")
    return (_expanded(home) if home else Path.home() / ".keras") / "datasets"


def _expanded(text: str) -> Path:
    """A path with `~` replaced; as it is where there is no such user."""
    with contextlib.suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def _cache() -> Path:
    return platformdirs.user_cache_path("tenfold", appauthor=False, opinion=False)
