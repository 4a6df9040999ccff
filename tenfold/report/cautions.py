"""Warnings about a run: what limits the meaning of its scores."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tenfold.counted import are, counted
from tenfold.report.facts import scored_splits
from tenfold.run import SplitRecord


def cautions(status: Mapping[str, Any], splits: Mapping[str, Mapping[str, Any]],
             metrics: Mapping[str, Any], inspection: Mapping[str, Any] = MappingProxyType({})) -> list[str]:
    """Warnings: an unfinished run, partial or held-out splits, images seen in training, undefined values."""
    found = []
    if status.get("status") != "finished":
        reason = f": {status['reason']}" if status.get("reason") else ""
        found.append(f"This run is not finished; its status is “{status.get('status', 'unknown')}”{reason}.")
    for name, split in splits.items():
        found += _split_cautions(name, split)
        found += [f"{name.capitalize()} split: {note}" for note in (*seen_in_training(inspection, name),
                                                                   *contradicted(inspection, name))]
    for name in scored_splits(metrics):
        found += _overlaps(name, metrics[name])
        found += [f"{name.capitalize()} split: {note}" for note in of_split(name, metrics[name], {})]
    return found


def of_split(name: str, scored: Mapping[str, Any], inspection: Mapping[str, Any]) -> list[str]:
    """What limits the scores of one split; scored: its part of `metrics.json`."""
    return [*(majority(scored) if name == "test" else ()), *scored.get("notes", []),
            *seen_in_training(inspection, name), *contradicted(inspection, name)]


def _overlaps(name: str, scored: Mapping[str, Any]) -> list[str]:
    data = scored.get("data", {})
    return [f"{name.capitalize()} split: {count:,} of its {counted(data['count'], 'image')} {are(count)} also in "
            f"the run's {split} split."
            for split, count in data.get("overlap", {}).items()]


FEW_IMAGES = 50  # a smaller test split gets a warning


def _split_cautions(name: str, split: Mapping[str, Any]) -> list[str]:
    if name == "calibration":
        return []  # a part of validation, which says the same
    source, count, expected = split.get("source", "unknown"), split.get("count", 0), split.get("expected")
    if split.get("partial"):
        of = f"{count:,} of {counted(expected, 'image')}" if expected else \
            f"{counted(count, 'image')} from partial data"
        warning = "" if name == "train" else " Do not compare its numbers with published ones."
        return [f"The {name} split is partial: {of} ({source}).{warning}"]
    if name == "test" and count < FEW_IMAGES:
        return [f"The test split has only {counted(count, 'image')}: intervals are wide."]
    if name == "test" and SplitRecord(split).held_out:
        return [f"The test split was held out by the recipe; it is not an official test split: {source}."]
    return []


def seen_in_training(inspection: Mapping[str, Any], split: str) -> list[str]:
    """A sentence if a split has images that are also in training."""
    seen = inspection.get("seen_in_training", {}).get(split, 0)
    if not seen:
        return []
    return [f"{seen:,} of its {counted(inspection['judged'][split], 'image')} {are(seen)} the same or nearly the same "
            "as images in training: the model has seen them, so its scores are too good."]


def contradicted(inspection: Mapping[str, Any], split: str) -> list[str]:
    """A sentence if a split has images that are also there with another label."""
    count = inspection.get("contradicted", {}).get(split, 0)
    if not count:
        return []
    return [f"{count:,} of its {counted(inspection['judged'][split], 'image')} {are(count, 'has', 'have')} the same "
            "pixels as an image with another label: at least one of the labels is wrong."]


MAJORITY = 0.7  # from this fraction on, a class that is always named would look good


def majority(scored: Mapping[str, Any]) -> list[str]:
    """A sentence if most images of a scored split are of one class."""
    counts = {name: sum(row) for name, row in zip(scored.get("per_class", ()), scored.get("confusion_matrix", ()),
                                                  strict=False)}
    total, name = sum(counts.values()), max(counts, key=lambda each: counts[each], default="")
    if len(counts) < 2 or not total or counts[name] < MAJORITY * total:
        return []
    return [f"{100 * counts[name] / total:.1f} % of its {counted(total, 'image')} are of the class {name}, so "
            "always naming it would be right as often; see the recall of each class and the macro F1."]
