"""The files of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.progress import SILENT, Watcher
from tenfold.report import html
from tenfold.report.card import card
from tenfold.report.material import Material
from tenfold.report.plots import Drawn, draw_all, drawn
from tenfold.run import Run

Files = dict[str, bytes | str]  # contents by name in the run


def files(run: Run, material: Material, status: Mapping[str, Any], watcher: Watcher = SILENT,
          draw: Drawn = drawn) -> Files:
    """The plots, the model card and the page of a run; writes nothing. Raises RunError for a damaged file of the run.

    draw: as for `draw_all`.
    """
    plots = draw_all(material, watcher, draw)
    return {**{f"plots/{name}.png": content for name, content in plots.items()},
            "MODEL_CARD.md": card(run, material, status),
            "report.html": html.report(run, material, plots, status)}
