"""The findings of a data set as a page that exports decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.data.exclusion import Decision, image_names
from tenfold.inspection.finding import Finding, known_kinds
from tenfold.inspection.inspecting import Inspection
from tenfold.report.inspection import Picture, Row, Section, page
from tenfold.storage.files import write_whole

MOST_ROWS = 300  # findings of a kind that are shown
MOST_PICTURES = 12  # images of a finding that are shown


def write_page(dataset: Dataset, found: Inspection, path: Path, decided: Sequence[Decision] = ()) -> Path:
    """Write the page of the findings of a data set, one file that needs no other. Raises StorageError.

    decided: earlier decisions, with which those of the page begin.
    """
    places = {name: (split, number) for split, names in image_names(dataset).items()
              for number, name in enumerate(names)}
    known, by_kind = known_kinds(), {kind: found.of(kind) for kind in found.counts()}
    sections = [Section(kind, known[kind].meaning, known[kind].advice, len(findings),
                        [_row(dataset, each, places) for each in findings[:MOST_ROWS]], _rest(findings))
                for kind, findings in by_kind.items()]
    earlier = [(each.image, each.decision, each.label) for each in decided]
    return write_whole(path, page(f"Inspection of {found.name}", found.heading(), found.classes, sections,
                                  found.not_looked_for(), earlier))


def _row(dataset: Dataset, finding: Finding, places: Mapping[str, tuple[str, int]]) -> Row:
    shown = finding.images[:MOST_PICTURES]
    return Row([_picture(dataset, name, places.get(name)) for name in shown], finding.score, finding.words,
               _proposed(finding), len(finding.images) - len(shown))


def _rest(findings: Sequence[Finding]) -> dict[str, str]:
    """The proposed decisions about images that are not shown."""
    shown = {image for each in findings[:MOST_ROWS] for image in each.images[:MOST_PICTURES]}
    return {image: decision for each in findings for image, decision in _proposed(each).items() if image not in shown}


def _picture(dataset: Dataset, name: str, place: tuple[str, int] | None) -> Picture:
    if place is None:
        return Picture(name, "", None)
    split, number = place
    chosen = dataset.splits()[split]
    return Picture(name, f"{dataset.classes[chosen.labels[number]]}, {split}", np.asarray(chosen.images[number]))


def _proposed(finding: Finding) -> dict[str, str]:
    if finding.label is not None:
        return dict.fromkeys(finding.images, f"relabel:{finding.label}")
    return dict.fromkeys(finding.drop, "drop")
