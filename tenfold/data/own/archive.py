"""Archives of a tree of images: zip and tar, read without unpacking them."""

from __future__ import annotations

import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tenfold.data.dataset import Dataset, LeftOut
from tenfold.data.images import printable
from tenfold.data.own.build import own_dataset
from tenfold.data.own.listing import MOST_OF_FILE, Listing, Reader, file_signature
from tenfold.data.own.places import existing, path_name
from tenfold.data.own.tree import arrange
from tenfold.data.source import Access, own_files, source
from tenfold.errors import DataError, ImageError, first_line
from tenfold.registry import DATASETS

MOST_MEMBERS = 5_000_000


@DATASETS.add("zip")
@source(where=own_files)
def zip_archive(options: str, access: Access) -> Dataset:
    """Your own images: `zip:FILE`, an archive of folders of images, one for each class.

    Read without unpacking. Raises UsageError for a missing file, DataError for a damaged or unsuitable archive.
    """
    path = existing(options, "zip")
    with _opening(path, "zip"):
        archive = zipfile.ZipFile(path)
        members = [info for info in archive.infolist() if not info.is_dir()]
        folders = [_path(info.filename) for info in archive.infolist() if info.is_dir()]
    with archive:
        return _dataset(path, "zip", [info.filename for info in members], folders,
                        lambda chosen: _ZipMembers(archive, [members[i] for i in chosen]), access)


@DATASETS.add("tar")
@source(where=own_files)
def tar_archive(options: str, access: Access) -> Dataset:
    """Your own images: `tar:FILE`, compressed or not, of folders of images, one for each class.

    Read without unpacking. Raises UsageError for a missing file, DataError for a damaged or unsuitable archive.
    """
    path = existing(options, "tar")
    members: list[str] = []
    folders: list[str] = []
    links: list[str] = []
    with _opening(path, "tar"), tarfile.open(path) as archive:
        for member in _files(archive, folders, links):
            members.append(member.name)
            if len(members) > MOST_MEMBERS:
                break
    return _dataset(path, "tar", members, folders, lambda chosen: _TarMembers(path, chosen), access, links)


def _files(archive: tarfile.TarFile, folders: list[str], links: list[str]) -> Iterator[tarfile.TarInfo]:
    """The regular files of an archive in order; names of folders and of everything else go into the lists."""
    for member in archive:
        if member.isreg():
            yield member
        else:
            (folders if member.isdir() else links).append(_path(member.name))


def _dataset(
    path: Path, kind: str, members: Sequence[str], folders: Iterable[str],
    reader: Callable[[Sequence[int]], Reader], access: Access, links: Iterable[str] = (),
) -> Dataset:
    """The data set of the files in an archive; `reader` makes a reader of those at some positions in `members`."""
    if len(members) > MOST_MEMBERS:
        raise DataError(f"{path}: received more than {MOST_MEMBERS:,} files; expected at most as many")
    paths = [_path(name) for name in members]
    place = {name: i for i, name in enumerate(paths) if _is_inside(name)}  # of two with one name, the later counts
    left_out = [LeftOut(printable(name), reason) for names, reason in (
        ([name for name in paths if not _is_inside(name)], "its path leads out of the archive"),
        ([name for i, name in enumerate(paths) if place.get(name, i) != i], "a later file has its name"),
        (links, "it is a link, or no regular file")) for name in names]
    tree = arrange(str(path), place, filter(_is_inside, folders), access.section.allow_empty)
    order = sorted(range(len(tree.names)), key=lambda i: place[tree.names[i]])  # that of the archive
    names = [tree.names[i] for i in order]
    return own_dataset(
        Listing(path_name(path), f"{kind}:{path}", f"the archive {path}", tree.classes, names, tree.labels[order],
                tree.splits[order], reader([place[name] for name in names]), file_signature([(path.name, path)]),
                (*tree.left_out, *left_out)), access)


def _path(name: str) -> str:
    """The path of a member without "./"; old programs for Windows write backslashes."""
    return str(PurePosixPath(name.replace("\\", "/")))


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and ":" not in path.parts[0][:2] if path.parts else False


@contextmanager
def _opening(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (DataError, ImageError):
        raise
    except Exception as error:  # a damaged archive may raise anything
        raise DataError(f"{path}: {first_line(error)}; expected a complete {kind} archive of images") from None


class _ZipMembers(Reader):
    """Reads members of a zip archive in any order, from several threads."""

    sequential = False

    def __init__(self, archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]) -> None:
        self._archive, self._members = archive, members

    def __len__(self) -> int:
        return len(self._members)

    def read(self, number: int) -> bytes:
        try:
            with self._archive.open(self._members[number]) as member:
                return _bounded(member.read(MOST_OF_FILE + 1))
        except ImageError:
            raise
        except Exception as error:  # a damaged archive may raise anything
            raise ImageError(f"it can't be read from the archive: {first_line(error)}") from None


class _TarMembers(Reader):
    """Reads regular files of a tar archive, in ascending order of position; an earlier position starts again."""

    sequential = True

    def __init__(self, path: Path, positions: Sequence[int]) -> None:
        self._path, self._positions, self._lock = path, positions, threading.Lock()
        self._stream: Iterator[bytes] = iter(())
        self._next = len(positions)

    def __len__(self) -> int:
        return len(self._positions)

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
        waiting = iter(self._positions)
        wanted = next(waiting, None)
        with tarfile.open(self._path) as archive:
            for position, member in enumerate(_files(archive, [], [])):
                if position == wanted:
                    file = archive.extractfile(member)
                    yield file.read(MOST_OF_FILE + 1) if file else b""
                    wanted = next(waiting, None)
        raise DataError(f"{self._path}: has changed while it was read; expected all of its images")


def _bounded(content: bytes) -> bytes:
    if len(content) > MOST_OF_FILE:
        raise ImageError(f"it has more than {MOST_OF_FILE:,} bytes; expected an image")
    return content
