"""Decisions about single images, `data.exclude`: a CSV with the columns image, decision and label.

A decision is keep, drop or relabel. An image is named by its path, as the reports name it, or as "split:number" where
images are no files; numbers count from 0 within the splits of the source.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from tenfold.counted import are, counted
from tenfold.data.dataset import Dataset, LeftOut, Split
from tenfold.data.images import SUFFIXES, printable
from tenfold.data.own.listing import some
from tenfold.errors import DataError, UsageError, unknown
from tenfold.storage.paths import absent, expanded, read_small

COLUMNS = ("image", "decision", "label")
DECISIONS = ("keep", "drop", "relabel")
MOST_BYTES = 1 << 28
NUMBERED = re.compile(r"(train|validation|test):[0-9]+")
EXPECTED = "expected a CSV file with the columns image, decision and label, as the page of `tenfold data check` exports"


@dataclass(frozen=True)
class Decision:
    """What to do with an image: "keep", "drop" or "relabel" (then `label` is the new class)."""

    image: str
    decision: str
    label: str = ""


def image_names(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """The name of every image, by split: its path, or "split:number" if the images are no files."""
    return {name: split.names if _are_identified(split) else tuple(f"{name}:{i}" for i in range(len(split)))
            for name, split in dataset.splits().items()}


def identified(dataset: Dataset) -> Dataset:
    """The data set with the names of `image_names` on its splits, so that selections of them keep the names."""
    names = image_names(dataset)
    splits: dict[str, Any] = {name: replace(split, names=names[name]) for name, split in dataset.splits().items()}
    return replace(dataset, **splits)


def file_names(split: Split) -> tuple[str, ...]:
    """The paths of the images of a split; none if they are no files."""
    return split.names if split.names and PurePath(split.names[0]).suffix.lower() in SUFFIXES else ()


def _are_identified(split: Split) -> bool:
    """Whether the names of a split are paths, or numbers that `identified` gave."""
    return bool(file_names(split)) or bool(split.names and NUMBERED.fullmatch(split.names[0]))


def exclude(dataset: Dataset, file: str) -> Dataset:
    """The data set without the dropped images and with the new labels of a file of decisions.

    `left_out` names what is dropped, and a note says how many labels are new. Raises UsageError for a file that is
    missing, is no such table, or names unknown images or classes.
    """
    path = Path(file)
    decisions = {each.image: each for each in _read(path)}
    known = image_names(dataset)
    decisions = _as_named(dataset, decisions)
    _check(dataset, path, decisions, known)
    left_out, relabelled, splits = list(dataset.left_out), list[str](), dict[str, Any]()
    index = {name: i for i, name in enumerate(dataset.classes)}
    for split_name, split in dataset.splits().items():
        chosen = [decisions.get(name) for name in known[split_name]]
        dropped = [i for i, each in enumerate(chosen) if each and each.decision == "drop"]
        changed = {i: index[each.label] for i, each in enumerate(chosen)
                   if each and each.decision == "relabel" and index[each.label] != split.labels[i]}
        left_out += [LeftOut(known[split_name][i], f"dropped by {path.name}") for i in dropped]
        relabelled += [known[split_name][i] for i in changed]
        splits[split_name] = _without(split, known[split_name], dropped, changed)
    if len(np.unique(splits["train"].labels)) < 2:
        raise DataError(f"data.exclude: {path}: leaves training images of fewer than 2 classes; keep more images")
    if not relabelled and len(left_out) == len(dataset.left_out):
        return dataset
    notes = [*dataset.notes, f"{path.name}: {counted(len(left_out) - len(dataset.left_out), 'image')} dropped, "
                             f"{len(relabelled):,} relabelled" + (f" ({some(relabelled)})" if relabelled else "")]
    splits |= {name: None for name in ("validation", "test") if name in splits and not len(splits[name])}
    return replace(dataset, **splits, notes=tuple(notes), left_out=tuple(left_out))


def absolute(file: str) -> str:
    """The absolute path of a file of decisions, so that a run finds it from another working directory."""
    return os.path.abspath(expanded(file))


def _without(split: Split, names: tuple[str, ...], dropped: list[int], changed: Mapping[int, int]) -> Split:
    """The split without some images, and with other labels for some."""
    if changed:
        labels = split.labels.copy()
        labels[list(changed)] = list(changed.values())
        split = replace(split, labels=labels)
    if not dropped:
        return split
    split = replace(split, names=names)  # numbers of a source without paths stay those of the source
    rest = np.setdiff1d(np.arange(len(split)), dropped)
    return split.take(rest, f"{split.describe()}, without {len(dropped):,} dropped by data.exclude")


def decided(file: str | None) -> list[Decision]:
    """The decisions of a file, in its order; none without a file. Raises UsageError like `exclude`."""
    return list({each.image: each for each in _read(Path(file))}.values()) if file else []


def _read(path: Path) -> Iterator[Decision]:
    """The rows of a file of decisions. Raises UsageError with the line of the first invalid row."""
    reason = absent(path, "file") or ("" if path.is_file() else "it is no file")
    if reason:
        raise UsageError(f"data.exclude: {printable(path)}: {reason}; {EXPECTED}")
    try:
        lines = read_small(path, MOST_BYTES).decode("utf-8-sig").splitlines()
        delimiter = max(",;\t", key=lines[0].count) if lines else ","
        rows = list(csv.reader(lines, delimiter=delimiter))
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"data.exclude: {printable(path)}: can't be read as a table ({error}); {EXPECTED}") from None
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if not set(COLUMNS[:2]) <= set(header):
        raise UsageError(f"data.exclude: {printable(path)}: received the columns "
                         f"{printable(', '.join(header))[:200] or 'none'}; {EXPECTED}")
    seen: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        cells = dict(zip(header, (_plain(cell) for cell in row), strict=False))
        image, decision, label = (cells.get(column, "") for column in COLUMNS)
        where = f"data.exclude: {printable(path)}, line {number}"
        if decision not in DECISIONS:
            raise UsageError(f"{where}: received the decision {printable(decision)!r}; expected keep, drop or relabel")
        if decision == "relabel" and not label:
            raise UsageError(f"{where}: received relabel without a label; expected the new class of the image")
        if seen.setdefault(image, (decision, label)) != (decision, label):
            raise UsageError(f"{where}: received another decision for {printable(image)!r}; expected one for an image")
        yield Decision(image, decision, label)


def _plain(cell: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from taking it for a formula."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@") else cell


def _as_named(dataset: Dataset, decisions: Mapping[str, Decision]) -> dict[str, Decision]:
    """The decisions with paths relative to the folder of the data set, as its images are named."""
    root = Path(dataset.uri.partition(":")[2] or ".")
    root = root if root.is_dir() else root.parent
    return {image.removeprefix(f"{root}{os.sep}") if os.path.isabs(image) else image: each
            for image, each in decisions.items()}


def _check(dataset: Dataset, path: Path, decisions: Mapping[str, Decision],
           known: Mapping[str, tuple[str, ...]]) -> None:
    every = {name for names in known.values() for name in names} | {each.name for each in dataset.left_out}
    missing = [image for image in decisions if image not in every]
    if missing:
        example = next(iter(known.values()))[0]
        raise UsageError(f"data.exclude: {printable(path)}: {len(missing):,} of {counted(len(decisions), 'row')} "
                         f"{are(len(missing), 'names', 'name')} images that {dataset.name} does not have "
                         f"({some(missing)}); expected names such as {example}")
    for each in decisions.values():
        if each.decision == "relabel" and each.label not in dataset.classes:
            raise UsageError(f"data.exclude: {printable(path)}: {printable(each.image)}: "
                             f"{unknown('class', printable(each.label), dataset.classes)}")
