"""Archives of a tree of images: zip and tar, read without unpacking them."""

from __future__ import annotations

import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tenfold.data.dataset import Dataset, LeftOut
from tenfold.data.own.build import own_dataset
from tenfold.data.own.listing import MOST_OF_FILE, Listing, Reader, file_signature
from tenfold.data.own.places import existing, path_name
from tenfold.data.own.tree import arrange
from tenfold.data.source import Access, own_files, source
from tenfold.errors import DataError, ImageError, first_line
from tenfold.registry import DATASETS

MOST_MEMBERS = 5_000_000
DAMAGED = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, KeyError, zipfile.BadZipFile,
           tarfile.TarError, zlib.error)


@DATASETS.add("zip")
@source(where=own_files)
def zip_archive(options: str, access: Access) -> Dataset:
    """Your own images: `zip:FILE`, an archive of folders of images, one for each class.

    Read without unpacking. Raises UsageError for a missing file, DataError for a damaged or unsuitable archive.
    """
    path = existing(options, "zip")
    with _opening(path, "zip"):
        archive = zipfile.ZipFile(path)
        members = [info.filename for info in archive.infolist() if not info.is_dir()]
        folders = [info.filename.rstrip("/") for info in archive.infolist() if info.is_dir()]
    return _dataset(path, "zip", members, folders, lambda names: _ZipMembers(archive, names), access)


@DATASETS.add("tar")
@source(where=own_files)
def tar_archive(options: str, access: Access) -> Dataset:
    """Your own images: `tar:FILE`, compressed or not, of folders of images, one for each class.

    Read without unpacking. Raises UsageError for a missing file, DataError for a damaged or unsuitable archive.
    """
    path = existing(options, "tar")
    members, folders = [], []
    with _opening(path, "tar"), tarfile.open(path) as archive:
        for member in archive:
            if member.isdir():
                folders.append(member.name)
            elif member.isreg():
                members.append(member.name)
            if len(members) > MOST_MEMBERS:
                break
    return _dataset(path, "tar", members, folders, lambda names: _TarMembers(path, names), access)


def _dataset(
    path: Path, kind: str, members: Sequence[str], folders: Iterable[str],
    reader: Callable[[Sequence[str]], Reader], access: Access,
) -> Dataset:
    if len(members) > MOST_MEMBERS:
        raise DataError(f"{path}: received more than {MOST_MEMBERS:,} files; expected at most as many")
    inside = [name for name in members if _is_inside(name)]
    outside = tuple(LeftOut(name, "its path leads out of the archive") for name in members if not _is_inside(name))
    plain = {str(PurePosixPath(name)): name for name in inside}  # without "./"
    tree = arrange(str(path), plain, [str(PurePosixPath(name)) for name in folders if _is_inside(name)],
                   access.section.allow_empty)
    place = {name: i for i, name in enumerate(plain)}
    order = sorted(range(len(tree.names)), key=lambda i: place[tree.names[i]])  # that of the archive
    names = [tree.names[i] for i in order]
    read = reader([plain[name] for name in names])
    return own_dataset(
        Listing(path_name(path), f"{kind}:{path}", f"the archive {path}", tree.classes, names, tree.labels[order],
                tree.splits[order], read, file_signature([(path.name, path)]), (*tree.left_out, *outside)), access)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and ":" not in path.parts[0][:2] if path.parts else False


@contextmanager
def _opening(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise DataError(f"{path}: {first_line(error)}; expected a complete {kind} archive of images") from None


class _ZipMembers(Reader):
    """Reads members of a zip archive in any order, from several threads."""

    sequential = False

    def __init__(self, archive: zipfile.ZipFile, names: Sequence[str]) -> None:
        self._archive, self._names = archive, names

    def __len__(self) -> int:
        return len(self._names)

    def read(self, number: int) -> bytes:
        try:
            with self._archive.open(self._names[number]) as member:
                return _bounded(member.read(MOST_OF_FILE + 1))
        except DAMAGED as error:
            raise ImageError(f"it can't be read from the archive: {first_line(error)}") from None


class _TarMembers(Reader):
    """Reads members of a tar archive, in ascending order as the stream comes; an earlier one starts it anew."""

    sequential = True

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path, self._names, self._lock = path, names, threading.Lock()
        self._stream: Iterator[bytes] = iter(())
        self._next = len(names)

    def __len__(self) -> int:
        return len(self._names)

    def read(self, number: int) -> bytes:
        with self._lock, _opening(self._path, "tar"):
            if number < self._next:
                self._stream, self._next = self._contents(), 0
            while self._next < number:
                next(self._stream)
                self._next += 1
            self._next += 1
            return _bounded(next(self._stream))

    def _contents(self) -> Iterator[bytes]:
        waiting = iter(self._names)
        wanted = next(waiting, None)
        with tarfile.open(self._path) as archive:
            for member in archive:
                if member.name == wanted and member.isreg():
                    file = archive.extractfile(member)
                    yield file.read(MOST_OF_FILE + 1) if file else b""
                    wanted = next(waiting, None)
        raise DataError(f"{self._path}: has changed while it was read; expected all of its images")


def _bounded(content: bytes) -> bytes:
    if len(content) > MOST_OF_FILE:
        raise ImageError(f"it has more than {MOST_OF_FILE:,} bytes; expected an image")
    return content
