"""Exports in int8: calibrated on training images, and refused if they lose too much accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold.decisions.rules import KEY
from tenfold.errors import ExportError
from tenfold.export import Export, publish
from tenfold.export.parity import Agreement, agreement

if TYPE_CHECKING:
    from tenfold.export.formats import Answer, Format
    from tenfold.export.source import Source

CALIBRATION = 512  # training images from which the ranges of the values are measured
JUDGED = 5000  # images, at most, on which the accuracy is compared
LOSE = 0.5  # points of accuracy that int8 may lose
BATCH = 64
REASON = "they were fitted for the float32 model, and this one has 8-bit layers"
LEAST_SPREAD = 1e-6  # of a probability over the images; below, the model has become constant


@dataclass(frozen=True)
class Judges:
    """Images that decide whether an int8 model is good enough.

    calibration: training images uint8 [m, *shape]; images, labels: others, uint8 [n, *shape] and int64 [n]; before:
    probabilities of the float32 model on them, float32 [n, k]; lose: points of accuracy that may be lost.
    """

    calibration: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    before: np.ndarray
    lose: float = LOSE


def export_int8(source: Source, known: Format, path: Path, judges: Judges) -> Export:
    """Write a source in int8 to `path`, unless it would lose too much.

    Raises ExportError if the accuracy falls by more than `judges.lose` points, or if the outputs are constant or not
    finite; UsageError for a layer that the format does not know; MissingExtraError; StorageError. Nothing is left then.
    """
    quantize, restate = known.quantize, known.restate
    assert quantize is not None, "the format has no int8"
    assert restate is not None

    def make(temporary: Path) -> tuple[Source, Agreement]:
        quantize(source, temporary, judges.calibration)
        found = judge(known.read(temporary), judges)
        narrow = narrowed(source, found)
        restate(narrow, temporary)
        known.read(temporary)
        return narrow, found

    return publish(known, path, make)


def narrowed(source: Source, found: Agreement) -> Source:
    """The source as an int8 model holds it: its facts say how the accuracy changed, its rules guarantee nothing."""
    facts = {**source.facts, "precision": "int8", "agreement": found.to_dict()}
    if rules := facts.get(KEY):
        reason = "; ".join(each for each in (rules["fitted"].get("reason"), REASON) if each)
        facts[KEY] = {**rules, "fitted": {**rules["fitted"], "reason": reason}}
    return replace(source, facts=facts)


def judge(answer: Answer, judges: Judges) -> Agreement:
    """How an int8 model agrees with the float32 model. Raises ExportError if it is not good enough."""
    given = np.concatenate([answer(batch)["probabilities"] for batch in batches(judges.images)])
    if not np.isfinite(given).all():
        raise ExportError("the int8 model gives probabilities that are not finite; export it without --int8")
    if np.ptp(given, axis=0).max() < LEAST_SPREAD <= np.ptp(judges.before, axis=0).max():
        raise ExportError("the int8 model gives the same probabilities for every image; export it without --int8")
    found = agreement(judges.before, given, judges.labels)
    if found.accuracy < -judges.lose:
        raise ExportError(f"int8 changes the accuracy by {found.change}; expected a loss of at most {judges.lose:g}; "
                          "export it without --int8, or allow more with --lose")
    return found


def batches(images: np.ndarray, size: int = BATCH) -> Iterator[np.ndarray]:
    """The images in batches."""
    for start in range(0, len(images), size):
        yield images[start : start + size]
