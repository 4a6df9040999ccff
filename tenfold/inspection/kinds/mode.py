"""Files in another colour mode than most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tenfold.data.images import Header
from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS

WORDS = {"RGB": "colour", "YCbCr": "colour", "L": "grey", "1": "black and white", "P": "with a palette",
         "PA": "with a palette", "RGBA": "colour with transparency", "RGBa": "colour with transparency",
         "LA": "grey with transparency", "La": "grey with transparency", "CMYK": "in the ink colours CMYK"}
DEEP = "grey with more than 8 bits"


@FINDINGS.add("mode")
@kind("files", order=12, advice="Save them like the others, or make sure that each class has some: else the mode gives "
                                "the label away.")
def mode(subject: Subject) -> Iterator[Finding]:
    """Images in another colour mode than most: grey, CMYK, with transparency or with more than 8 bits."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in subject.names:
        if name in subject.headers:
            found[_words(subject.headers[name][0])].append(name)
    usual = max(found, key=lambda words: len(found[words]), default="")
    total = sum(map(len, found.values()))
    for words, names in sorted(found.items()):
        if words != usual:
            yield Finding("mode", tuple(names), 1 - len(names) / total, f"{len(names):,} {words}; most are {usual}")


def _words(header: Header) -> str:
    return WORDS.get(header.mode, DEEP if header.mode[:1] in "IF" else header.mode)
