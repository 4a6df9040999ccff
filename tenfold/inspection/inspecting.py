"""Inspect a data set: apply the kinds of findings, the cheap ones or all, and keep the result on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from tenfold.counted import counted
from tenfold.data.dataset import Dataset
from tenfold.data.images import Header, printable
from tenfold.errors import DataError, MissingExtraError, ModelFileError
from tenfold.inspection import kept
from tenfold.inspection.evidence import backbone_features, probe_probabilities
from tenfold.inspection.finding import ALL, Finding, Needs, known_kinds
from tenfold.inspection.subject import Subject
from tenfold.progress import SILENT, Watcher


@dataclass(frozen=True)
class Inspection:
    """What was found in a data set.

    images: the number of images by split; findings: the most harmful kinds first, the highest scores first; skipped:
    kinds that could not be looked for, with the reason; unlooked: kinds that nobody asked for.
    """

    name: str
    uri: str
    classes: tuple[str, ...]
    images: Mapping[str, int]
    findings: tuple[Finding, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    unlooked: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """The number of findings by kind, the most harmful first."""
        found = Counter(finding.kind for finding in self.findings)
        return {name: found[name] for name in known_kinds() if found[name]}

    def summary(self) -> str:
        """The numbers of findings in words."""
        counts = [f"{words(kind)} {count:,}" for kind, count in self.counts().items()]
        if self.unlooked:
            others = ", ".join(map(words, self.unlooked))
            return f"{', '.join(counts) or 'nothing found'}; not looked for: {others} (`tenfold data check` does)"
        return f"{', '.join(counts)} (`tenfold data check` shows them)" if counts else "nothing found"

    def heading(self) -> str:
        """Name, classes and images in words."""
        total = ", ".join(f"{count:,} in {split}" for split, count in self.images.items())
        return f"{self.name}: {counted(len(self.classes), 'class')}, images: {total}"

    def rows(self) -> list[list[str]]:
        """Kind, number, meaning and the worst example with what was found, as text, for each kind of finding."""
        known, worst = known_kinds(), {kind: self.of(kind)[0] for kind in self.counts()}
        return [[kind, f"{count:,}", known[kind].meaning, ", ".join(map(printable, worst[kind].images[:2])),
                 printable(worst[kind].words)] for kind, count in self.counts().items()]

    def not_looked_for(self) -> list[str]:
        """A sentence for each kind that could not be looked for."""
        return [f"{words(kind)}: not looked for: {reason}" for kind, reason in self.skipped.items()]

    def of(self, *names: str) -> list[Finding]:
        """The findings of some kinds."""
        return [finding for finding in self.findings if finding.kind in names]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values for JSON."""
        return {"name": self.name, "uri": self.uri, "classes": list(self.classes), "images": dict(self.images),
                "findings": [finding.to_dict() for finding in self.findings], "skipped": dict(self.skipped)}


def words(kind: str) -> str:
    """The name of a kind of finding as text."""
    return kind.replace("_", " ")


def inspect(
    dataset: Dataset, headers: Mapping[str, tuple[Header, int]] | None = None, *, needs: Sequence[Needs] = ALL,
    features: Callable[[], np.ndarray] | None = None,
    probabilities: Callable[[Subject], np.ndarray] = probe_probabilities, evidence: str = "", watcher: Watcher = SILENT,
) -> Inspection:
    """Look for all kinds of findings that need no more than `needs`; those found before come from the cache.

    headers: (header, bytes) of image files by name. features: float32 [n, d] of all images, by default those of a
    pretrained backbone; probabilities: float [n, k] of classifiers that did not see the image, by default of a logistic
    regression on these features; evidence: names the source of both if it is another one. Raises StorageError.
    """
    subject = Subject(dataset, features or partial(backbone_features, dataset, watcher), probabilities, headers or {},
                      watcher)
    store = kept.Store.of(subject, evidence)
    found, skipped = store.read(), dict[str, str]()
    wanted = known_kinds(tuple(needs))
    for name, each in wanted.items():
        if name in found:
            continue
        try:
            found[name] = sorted(map(_rounded, each.find(subject)), key=lambda finding: -finding.score)
        except (MissingExtraError, ModelFileError, DataError) as error:
            skipped[name] = str(error)
    store.write(found)
    chosen = [name for name in known_kinds() if name in found]  # also expensive kinds that were looked for before
    return Inspection(dataset.name, dataset.uri, dataset.classes,
                      {name: len(split) for name, split in dataset.splits().items()},
                      tuple(finding for name in chosen for finding in found[name]), skipped,
                      tuple(name for name in known_kinds() if name not in wanted and name not in found))


def _rounded(finding: Finding) -> Finding:
    return replace(finding, score=round(min(max(float(finding.score), 0.0), 1.0), 4))
