"""What a page needs of others: ONNX Runtime for browsers and a decoder of xz, from pinned npm packages.

They are put into the package when its wheel is built (`hatch_build.py`); otherwise `fetch` puts them into the cache.
"""

from __future__ import annotations

from pathlib import Path

from tenfold.data.fetch import Archive
from tenfold.data.location import feature_root
from tenfold.data.source import Access
from tenfold.errors import MissingExtraError
from tenfold.export.page.packages import PACKAGES, store, stored
from tenfold.progress import SILENT, Watcher
from tenfold.storage.files import write_directory

PACKAGED = Path(__file__).parent / "runtime"


def runtime_files() -> dict[str, bytes]:
    """File name → content as xz. Raises MissingExtraError if the files are not on this machine."""
    for folder in (PACKAGED, _cache()):
        found = [stored(package, folder) for package in PACKAGES]
        if None not in found:
            return {name: content for files in found if files for name, content in files.items()}
    megabytes = sum(package.size for package in PACKAGES) / 1e6
    raise MissingExtraError(f"the format html needs {' and '.join(_versions())}, which are not on this machine; get "
                            f"them with `tenfold export RUN html --fetch` ({megabytes:.0f} MB)")


def fetch(watcher: Watcher = SILENT) -> None:
    """Download the files into the cache, unless they are on this machine. Raises FetchError, StorageError."""
    try:
        runtime_files()
    except MissingExtraError:
        home = _cache().parent
        access = Access(home, fetch=True, watcher=watcher)
        archives = [Archive(each.url, each.sha256, each.size).fetch(home, access) for each in PACKAGES]

        def fill(folder: Path) -> None:
            for package, archive in zip(PACKAGES, archives, strict=True):
                store(package, archive.read_bytes(), folder)

        write_directory(_cache(), fill)
        for archive in archives:
            archive.unlink(missing_ok=True)


def _versions() -> list[str]:
    return [f"{each.name} {each.version}" for each in PACKAGES]


def _cache() -> Path:
    return feature_root().with_name("web-runtime") / "_".join(_versions()).replace(" ", "-")
