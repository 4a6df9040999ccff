"""Findings are kept on disk: a second look at the same images costs seconds."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.data.location import finding_root
from tenfold.errors import StorageError
from tenfold.inspection.finding import Finding
from tenfold.storage.files import write_whole

if TYPE_CHECKING:
    from tenfold.inspection.subject import Subject

RULES = 2  # version of the rules by which findings are made; raise it when they change


@dataclass(frozen=True)
class Store:
    """The findings of one data set by kind, in a file named by its content."""

    path: Path
    uri: str

    @classmethod
    def of(cls, subject: Subject, evidence: str) -> Store:
        """The store of a data set: its pixels, labels, names and unreadable files, and the source of the features."""
        dataset = subject.dataset
        unreadable = [each.name for each in dataset.left_out if each.unreadable]
        headers = sorted((name, header.height, header.width, header.mode, size)
                         for name, (header, size) in subject.headers.items())
        facts = json.dumps([RULES, dataset.fingerprint(), subject.names, unreadable, headers, evidence])
        return cls(finding_root() / f"{hashlib.sha256(facts.encode(errors='replace')).hexdigest()[:32]}.json",
                   dataset.uri)

    def read(self) -> dict[str, Sequence[Finding]]:
        """The findings of each kind that was looked for before; empty if the file is missing or damaged."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {kind: [Finding.from_dict(each) for each in found] for kind, found in content["kinds"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def write(self, found: Mapping[str, Sequence[Finding]]) -> None:
        """Keep the findings of each kind, if the cache can be written."""
        content = {"uri": self.uri, "kinds": {kind: [each.to_dict() for each in listed]
                                              for kind, listed in found.items()}}
        with contextlib.suppress(StorageError):
            write_whole(self.path, json.dumps(content))
