"""Models, data sets and more that users register in files of their own, or in packages that they install.

A file is loaded on request (`--plugin FILE.py`), and then named in TENFOLD_PLUGIN, so that the processes that this one
starts load it too. A package names its module as an entry point:

    [project.entry-points."tenfold.plugins"]
    mine = "mine.models"
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from tenfold.errors import TenfoldError, UsageError, first_line

GROUP = "tenfold.plugins"
VARIABLE = "TENFOLD_PLUGIN"  # paths, with the separator of PATH between them


def load_file(path: str | Path) -> None:
    """Run a Python file that registers something, as in `@MODELS.add("mine")`. Raises UsageError."""
    path = Path(path).expanduser().absolute()
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(f"--plugin: received {path}; expected a Python file that registers a model, a data set or "
                         "another part")
    name = f"tenfold_plugin_{path.stem}"
    if getattr(sys.modules.get(name), "__file__", None) == str(path):
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except TenfoldError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"--plugin {path}: it can't be run: {type(error).__name__}: {first_line(error)}; expected a "
                         "Python file that registers its parts") from None
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*_named(), str(path)]))


def load_named() -> None:
    """Run the files in TENFOLD_PLUGIN that this process has not run. Raises UsageError."""
    for path in _named():
        load_file(path)


def _named() -> list[str]:
    return [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]


def load_installed() -> None:
    """Import the modules that installed packages name as entry points. Raises UsageError for a faulty one."""
    from importlib import metadata  # takes longer to import than a wrong path to be told

    for entry in metadata.entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:
            raise UsageError(f"the plugin {entry.name} ({entry.value}) can't be imported: {type(error).__name__}: "
                             f"{first_line(error)}; repair or remove its package") from None
