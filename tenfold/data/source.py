"""What a source of data is: a function that opens it, and one that says where it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tenfold.data.dataset import Dataset
from tenfold.progress import SILENT, Watcher


@dataclass(frozen=True)
class Access:
    """How to come by the files of a data set.

    `root` is the directory where data sets lie and are kept, `fetch` whether what is missing may be
    downloaded into it. `watcher` is told of what takes long.
    """

    root: Path
    fetch: bool
    watcher: Watcher = SILENT


@dataclass(frozen=True)
class Place:
    """Where the files of a data set lie: which layout, which folder or file, and how to call it."""

    layout: str
    path: Path
    words: str


@dataclass(frozen=True)
class Source:
    """A named data set, or a family of them that options tell apart.

    `open` takes what stands after the name in the URI and an `Access`; `where` takes the root and
    says where the files lie, None if they are not on this machine.
    """

    open: Callable[[str, Access], Dataset]
    where: Callable[[Path], str | None]

    def __call__(self, options: str, access: Access) -> Dataset:
        """The data set; raises as `open` does."""
        return self.open(options, access)

    @property
    def description(self) -> str:
        """The first line of the docstring of `open`."""
        return (self.open.__doc__ or "").strip().partition("\n")[0]


def source(where: Callable[[Path], str | None]) -> Callable[[Callable[[str, Access], Dataset]], Source]:
    """Decorator: make a `Source` of the function that opens it."""
    return lambda opener: Source(opener, where)
