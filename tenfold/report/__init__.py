"""The report of a run: plots as PNG files, one self-contained page that opens offline, a model card."""

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
    """Draw what there is material for into `plots/<name>.png`, write `MODEL_CARD.md`, and `report.html`; its path.

    Works on a run of any status, and shows that or the given one; what the run lacks is left out. Raises
    StorageError if a file can't be written, RunError if the run has no readable recipe or status.
    """
    plots = draw_all(material, watcher)
    for name, content in plots.items():
        run.write(f"plots/{name}.png", content)
    status = status or run.status()
    run.write("MODEL_CARD.md", card(run, material, status))
    return run.write("report.html", html.report(run, material, plots, status))
