"""Export the model of a run, with its data set only where the run alone is not enough."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tenfold.counted import counted
from tenfold.data.dataset import Dataset
from tenfold.errors import StorageError, TenfoldError, UsageError, first_line
from tenfold.export import Export, check_images, check_run, export_source, target
from tenfold.export.check_images import CheckImages
from tenfold.export.int8 import CALIBRATION, JUDGED, LOSE, Judges, export_int8
from tenfold.export.source import Source
from tenfold.extras import installed
from tenfold.jobs.own_data import own_data
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.registry import FORMATS
from tenfold.run import ARTIFACTS, Run
from tenfold.runtimes import open_predictor
from tenfold.runtimes.onnx import NAME

QUICK = 16  # check images for the ONNX model that each training keeps


def export(run: Run, format: str, out: str | Path | None = None, *, int8: bool = False, lose: float = LOSE,
           watcher: Watcher | None = None) -> Export:
    """Export the model of a run in a format of `tenfold.registry.FORMATS`, checked against `model.keras`.

    out: a file or folder with the format's suffix, or an existing folder; default: the run's `exports/`. int8: with
    8-bit layers (onnx, openvino, html), calibrated on training images and judged on the validation images; refused if
    the accuracy falls by more than `lose` points. It needs the run's data set, and so does a run without check images
    (from an earlier version).

    Raises UnknownNameError; RunError if the run has no model or diverged; UsageError for a layer that the format does
    not know; MissingExtraError; ExportError if the export disagrees; StorageError. Nothing is left then.
    """
    watcher = chosen_watcher(watcher)
    known = FORMATS.get(format)
    check_run(run)
    if int8 and known.quantize is None:
        able = ", ".join(name for name in FORMATS.names() if FORMATS.get(name).quantize)
        raise UsageError(f"int8: received the format {format}; expected one of {able}")
    path = target(run, known, out, int8)
    known.check()
    if int8:
        known.check_int8()
    with run.writing() if out is None else contextlib.nullcontext():
        watcher.notice(f"exporting {run.path} as {format}{' in int8' if int8 else ''}")
        source = Source.of(run)
        if source.caution:
            watcher.notice(source.caution)
        if int8:
            made = export_int8(source, known, path, judges_of(run, lose, watcher))
            if made.agreement.low < -lose:
                watcher.notice(f"int8: a loss of more than {lose:g} points can't be ruled out on "
                               f"{counted(made.agreement.images, 'image')}; a larger validation split would tell")
            return made
        return export_source(source, known, path, images_of(run, watcher))


def check_format(format: str) -> None:
    """Raise UnknownNameError for an unknown format, MissingExtraError for one that can't be written here."""
    FORMATS.get(format).check()


def judges_of(run: Run, lose: float, watcher: Watcher) -> Judges:
    """The images on which an int8 model is calibrated and judged; without a validation split, both from training."""
    dataset = own_data(run, watcher)
    calibration = check_images.selection(dataset.train, CALIBRATION)
    judged = dataset.validation if dataset.validation is not None and len(dataset.validation) else dataset.train
    judged = check_images.selection(judged, JUDGED)
    images = np.asarray(judged.images[np.arange(len(judged))])
    return Judges(np.asarray(calibration.images[np.arange(len(calibration))]), images, judged.labels,
                  open_predictor(run, "fast").predict(images), lose)


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
    keep_onnx(run, kept.thinned(QUICK), watcher)


def names(run: Run) -> list[str]:
    """The names of the exports of a run."""
    return sorted(path.name for path in run.path.glob(ARTIFACTS["exports"].pattern) if path.suffix != ".json")


def renew(run: Run, former: Sequence[str], watcher: Watcher) -> None:
    """Write the ONNX model of a run with its new decision rules; former: the names of its exports before, which were
    removed because they held other rules.
    """
    again = [name for name in former if name != NAME]
    if again:
        watcher.notice(f"removed exports with the former decision rules: {', '.join(again)}; export them again")
    if run.has(check_images.NAME):
        keep_onnx(run, check_images.read(run).thinned(QUICK), watcher)


def keep_onnx(run: Run, kept: CheckImages, watcher: Watcher) -> None:
    """Write the ONNX model of a run in its `exports/` if the extra is installed and the model can be exported."""
    if not installed("onnx", "onnxruntime"):
        return
    known = FORMATS.get("onnx")
    try:
        export_source(Source.of(run), known, target(run, known, None), kept, quick=True)
    except StorageError:
        raise
    except Exception as error:  # whatever a network that nobody foresaw leads to: the run is trained
        watcher.notice(f"no ONNX model is kept: {error if isinstance(error, TenfoldError) else first_line(error)}")
