"""Explore a data set: one page that shows all its images, and the plots on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold import machine
from tenfold.counted import counted
from tenfold.inspection import CHEAP, inspect
from tenfold.jobs.checking import whole_data
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import Recipe
from tenfold.report.explored import Explored
from tenfold.storage.files import write_whole
from tenfold.storage.paths import check_file_name


@dataclass(frozen=True)
class ExploredPage:
    """The page of all images, its size in bytes, the plots that were written, and what they show."""

    page: Path
    size: int
    plots: tuple[Path, ...]
    explored: Explored

    @property
    def notes(self) -> list[str]:
        """Sentences about what the page lacks."""
        return list(self.explored.notes)

    def heading(self) -> str:
        """The numbers of images, classes and findings in words."""
        found = ", ".join(f"{kind.title} {kind.count:,}" for kind in self.explored.kinds)
        return (f"{self.explored.name}: {counted(len(self.explored), 'image')} in "
                f"{counted(len(self.explored.classes), 'class')}; findings: {found or 'none'}")

    def to_dict(self) -> dict[str, Any]:
        """The page and what it shows as plain values for JSON."""
        from tenfold.report.explore import summary

        return {"page": str(self.page), "bytes": self.size, "plots": [str(path) for path in self.plots],
                **summary(self.explored)}


def explore(data: str | Path, recipe: Recipe | None = None, *, out: str | Path = "explore.html",
            plots: str | Path | None = None, watcher: Watcher | None = None) -> ExploredPage:
    """Write the page that shows all images of a data set, and its plots as PNG into the directory `plots`.

    data: name, URI or path. recipe: another one than that of `check_sections`; its `data.exclude` is applied first.
    Findings that take seconds are looked for; those that `check` found before are included. Raises the errors of
    `open_dataset`, UsageError for an unsuitable file name, StorageError.
    """
    from tenfold.inspection.exploring import explore as look_at  # imports the libraries for plots and pages
    from tenfold.report import explore as pages

    watcher = chosen_watcher(watcher)
    machine.check(watcher.notice)
    page = Path(out)
    check_file_name("out", page, ".html", ".htm")
    dataset, headers = whole_data(data, recipe, watcher)
    found = inspect(dataset, headers, needs=CHEAP, watcher=watcher)
    explored = look_at(dataset, found, headers, watcher=watcher)
    drawn = pages.plots(explored)
    write_whole(page, pages.page(explored, drawn))
    folder = None if plots is None else Path(plots)
    written = () if folder is None else tuple(write_whole(folder / f"{name}.png", each) for name, each in drawn.items())
    return ExploredPage(page, page.stat().st_size, written, explored)
