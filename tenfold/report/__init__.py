"""The report of a run: plots as PNG files, a self-contained HTML page and a model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.progress import SILENT, Watcher
from tenfold.report import html
from tenfold.report.card import card
from tenfold.report.plots import Material, draw_all
from tenfold.run import Run

__all__ = ["Material", "report"]


def report(run: Run, material: Material, status: Mapping[str, Any] | None = None,
           watcher: Watcher = SILENT) -> Path:
    """Write `plots/<name>.png`, `MODEL_CARD.md` and `report.html`; return the path of the page.

    Works for runs of any state, and leaves out missing parts. The page shows `status` (default: the run's own).
    Raises StorageError if a file cannot be written; RunError if the recipe or the status is unreadable.
    """
    plots = draw_all(material, watcher)
    for name, content in plots.items():
        run.write(f"plots/{name}.png", content)
    status = status or run.status()
    run.write("MODEL_CARD.md", card(run, material, status))
    return run.write("report.html", html.report(run, material, plots, status))
