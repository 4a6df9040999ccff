"""Export the model of a run, with its data set only where the run alone is not enough."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tenfold.data.dataset import Dataset
from tenfold.errors import ExportError, RunError, UsageError
from tenfold.export import Export, check_images, check_run, export_source, target
from tenfold.export.check_images import CheckImages
from tenfold.export.source import Source
from tenfold.extras import installed
from tenfold.jobs.own_data import own_data
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.registry import FORMATS
from tenfold.run import Run


def export(run: Run, format: str, out: str | Path | None = None, *, watcher: Watcher | None = None) -> Export:
    """Export the model of a run in a format of `tenfold.registry.FORMATS`: see `tenfold.export.export_source`.

    out: a file or folder with the format's suffix, or an existing folder; default: the run's `exports/`. A run without
    check images (from an earlier version) needs its data set. Raises TenfoldErrors; nothing is left then.
    """
    watcher = chosen_watcher(watcher)
    known = FORMATS.get(format)
    check_run(run)
    path = target(run, known, out)
    with run.writing() if out is None else contextlib.nullcontext():
        kept = images_of(run, watcher)
        watcher.notice(f"exporting {run.path} as {format}")
        return export_source(Source.of(run), known, path, kept)


def images_of(run: Run, watcher: Watcher) -> CheckImages:
    """The check images of a run, chosen from its data set if the run has none. Raises RunError, DataError."""
    if run.has(check_images.NAME):
        return check_images.read(run)
    watcher.notice(f"{run.path} has no {check_images.NAME}; reading its data set for images to check the export with")
    return check_images.choose(own_data(run, watcher))


def keep(run: Run, dataset: Dataset, watcher: Watcher) -> None:
    """Write a run's check images and, where the extra is installed, its ONNX model, for predictions that start fast.

    A model that can't be exported is no reason to fail: the watcher receives the reason. Raises StorageError.
    """
    kept = check_images.choose(dataset)
    check_images.write(run, kept)
    keep_onnx(run, kept, watcher)


def keep_onnx(run: Run, kept: CheckImages, watcher: Watcher) -> None:
    """Write the ONNX model of a run in its `exports/` if the extra is installed."""
    if not installed("onnx", "onnxruntime"):
        return
    known = FORMATS.get("onnx")
    try:
        export_source(Source.of(run), known, target(run, known, None), kept)
    except (ExportError, RunError, UsageError) as error:
        watcher.notice(f"no ONNX model is kept: {error}")
