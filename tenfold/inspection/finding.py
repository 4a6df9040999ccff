"""What an inspection finds, and the kinds of findings: one file each in `kinds`, which registers itself.

    @FINDINGS.add("dark")
    @kind("pixels", order=10, advice="…")
    def dark(subject: Subject) -> Iterator[Finding]:
        \"\"\"One line that the table and the page show.\"\"\"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from tenfold.registry import FINDINGS

if TYPE_CHECKING:
    from tenfold.inspection.subject import Subject

# What a kind looks at, the cheapest first: names and headers of files, pixels, pairs of thumbnails, features of a
# pretrained backbone, a classifier on these features.
Needs = Literal["files", "pixels", "pairs", "features", "classifier"]
ALL: tuple[Needs, ...] = get_args(Needs)
CHEAP: tuple[Needs, ...] = ("files", "pixels")


@dataclass(frozen=True)
class Finding:
    """Something to look at: one image, or a pair or group of images.

    images: their paths, or "split:number" for images that are no files; empty if it concerns whole classes. score:
    0 to 1, higher is worse or more certain. drop: those of the images that can go without loss; label: the class that
    the image seems to belong to.
    """

    kind: str
    images: tuple[str, ...]
    score: float
    words: str = ""
    drop: tuple[str, ...] = ()
    label: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain values for JSON."""
        return {**asdict(self), "images": list(self.images), "drop": list(self.drop)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Finding:
        """The finding of `to_dict`."""
        return cls(**{**values, "images": tuple(values["images"]), "drop": tuple(values["drop"])})


@dataclass(frozen=True)
class Kind:
    """A kind of finding: how it is found, what that needs, its place in lists, and what to do about it."""

    find: Callable[[Subject], Iterator[Finding]]
    needs: Needs
    order: int
    advice: str

    @property
    def meaning(self) -> str:
        """The first line of the docstring of `find`."""
        return (self.find.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def kind(needs: Needs, *, order: int, advice: str) -> Callable[[Callable[[Subject], Iterator[Finding]]], Kind]:
    """Decorator: turn a function that yields findings into a `Kind`; `order`: the most harmful kinds come first."""
    assert needs in ALL
    return lambda find: Kind(find, needs, order, advice)


def known_kinds(needs: tuple[Needs, ...] = ALL) -> dict[str, Kind]:
    """The kinds by name, the most harmful first; only those that need no more than `needs`."""
    found: dict[str, Kind] = {name: FINDINGS.get(name) for name in FINDINGS.names()}
    return dict(sorted(((name, each) for name, each in found.items() if each.needs in needs),
                       key=lambda item: item[1].order))
