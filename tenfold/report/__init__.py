"""The report of a run: plots as PNG files, a self-contained HTML page and a model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.progress import SILENT, Watcher
from tenfold.report.apart import Apart
from tenfold.report.material import Material
from tenfold.run import Run

__all__ = ["Material", "report"]


def report(run: Run, material: Material, status: Mapping[str, Any] | None = None,
           watcher: Watcher = SILENT, apart: Apart | None = None) -> Path:
    """Write `plots/<name>.png`, `MODEL_CARD.md` and `report.html`; return the path of the page.

    Works for runs of any state, and leaves out missing parts. The page shows `status` (default: the run's own). `apart`
    makes the contents of the files in a second process, if it can.
    Raises StorageError if a file cannot be written; RunError if the recipe or the status is unreadable.
    """
    status = status or run.status()
    made = None if apart is None else apart.files(run, material, status, watcher)
    if made is None:
        from tenfold.report.files import files  # imports the libraries for plots and pages

        made = files(run, material, status, watcher)
    for name, content in made.items():
        run.write(name, content)
    return run.path / "report.html"
