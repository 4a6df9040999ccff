"""Where data sets are looked for and kept."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

ADVICE = "set TENFOLD_DATA to another directory"  # where a data set can't be kept


def data_root() -> Path:
    """The directory named by `TENFOLD_DATA`, else `tenfold` in the platform's cache directory.

    That is `$XDG_CACHE_HOME` or `~/.cache` on Linux, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on
    Windows. The directory need not exist, and is not made here.
    """
    chosen = os.environ.get("TENFOLD_DATA")
    if chosen:
        return Path(chosen).expanduser()
    return _cache()


def feature_root() -> Path:
    """Where features of frozen backbones are kept: `$TENFOLD_CACHE`, else `tenfold` in the platform's cache.

    Whatever lies there can be made again: it may be removed at any time.
    """
    chosen = os.environ.get("TENFOLD_CACHE")
    return (Path(chosen).expanduser() if chosen else _cache()) / "features"


def keras_cache() -> Path:
    """The directory in which Keras keeps the data sets it has downloaded: `$KERAS_HOME` or `~/.keras`."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".keras") / "datasets"


def _cache() -> Path:
    return platformdirs.user_cache_path("tenfold", appauthor=False, opinion=False)
