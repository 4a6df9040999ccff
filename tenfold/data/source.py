"""A data source: a function that opens the data set, and one that locates its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tenfold.data.dataset import Dataset
from tenfold.data.images import Header
from tenfold.data.options import Option
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import DataSection

Shape = tuple[int, int, int]  # height, width, channels
Visit = Callable[[Mapping[str, tuple[Header, int]]], None]  # image name → (header, bytes of the file)
PLAIN = DataSection()


@dataclass(frozen=True)
class Access:
    """Access to the files of a data set.

    root: directory of the data sets; fetch: whether missing files may be downloaded into it; watcher: receives the
    progress of downloads and decoding. For own images: section says how they are read; side is the height and width
    that the model asks for; shape, if given, overrides both; visit receives headers and sizes of the files by name;
    bursts_as_read: bursts are found on the images as they are read, as by versions that did not record an identity.
    """

    root: Path
    fetch: bool
    watcher: Watcher = SILENT
    section: DataSection = PLAIN
    side: int | None = None
    shape: Shape | None = None
    visit: Visit | None = None
    bursts_as_read: bool = False


@dataclass(frozen=True)
class Place:
    """The location of a data set's files: their layout, the folder or file, and a description in words."""

    layout: str
    path: Path
    words: str


@dataclass(frozen=True)
class Source:
    """A named data set, or a family of data sets distinguished by options.

    open: takes the options (the part of the URI after the name) and an `Access`; where: takes the root and returns the
    location of the files, None if they are not on this machine; pin: takes the options, and whether the network may be
    used, and returns options that stand for the same images for ever; options: those that `open` takes, by name.
    """

    open: Callable[[str, Access], Dataset]
    where: Callable[[Path], str | None]
    pin: Callable[[str, bool], str]
    options: Mapping[str, Option] = field(default_factory=dict)

    def __call__(self, options: str, access: Access) -> Dataset:
        """Open the data set. Raises the same errors as `open`."""
        return self.open(options, access)

    @property
    def description(self) -> str:
        """The first line of the docstring of `open`."""
        return (self.open.__doc__ or "").strip().partition("\n")[0]


def own_files(root: Path) -> str:
    """The location of own images, which the user names."""
    return "your files"


def unchanged(options: str, online: bool) -> str:
    """The options of a source that has no versions."""
    return options


def source(
    where: Callable[[Path], str | None], pin: Callable[[str, bool], str] = unchanged,
    options: Mapping[str, Option] | None = None,
) -> Callable[[Callable[[str, Access], Dataset]], Source]:
    """Decorator: turn the function that opens a data set into a `Source`."""
    return lambda opener: Source(opener, where, pin, options or {})
