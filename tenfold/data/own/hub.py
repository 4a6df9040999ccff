"""Data sets of the Hugging Face Hub, at a fixed commit: their own parquet files, or those that the Hub made of them.

Files lie in the cache that other programs use for the Hub too (`$HF_HOME`), so nothing is downloaded twice.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.counted import counted
from tenfold.data.dataset import Dataset
from tenfold.data.images import printable
from tenfold.data.own.build import own_dataset
from tenfold.data.own.listing import ROLES, natural
from tenfold.data.own.tables import list_tables
from tenfold.data.own.transfer import transfer_bar
from tenfold.data.source import Access, source
from tenfold.errors import DataError, FetchError, MissingExtraError, UsageError, first_line
from tenfold.registry import DATASETS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ADDRESS = re.compile(r"([\w.-]+/[\w.-]+)(?::([^@]+))?(?:@([\w./-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
CONVERTED = "refs/convert/parquet"  # the branch of parquet files that the Hub makes of every public data set
PLAIN_FOLDERS = {"", "data", *ROLES}  # outer folders that name no configuration
TOGETHER = 4  # files downloaded at the same time
EXPECTED = "expected hf:OWNER/NAME, hf:OWNER/NAME:CONFIGURATION or hf:OWNER/NAME@REVISION"


@dataclass(frozen=True)
class Address:
    """A data set of the Hub: "OWNER/NAME", and its configuration and revision, empty if not given."""

    repository: str
    configuration: str
    revision: str

    def __str__(self) -> str:
        parts = (self.repository, self.configuration and f":{self.configuration}",
                 self.revision and f"@{self.revision}")
        return "hf:" + "".join(parts)


def pinned(options: str, online: bool) -> str:
    """The options with the commit of the revision, or of the default branch, or of the parquet files made by the Hub.

    Asks the Hub if `online`, and the cache if that fails. Options that name a commit are returned as they are.
    """
    address = _parse(options)
    if COMMIT.fullmatch(address.revision):
        return options
    api = _api()
    for branch in (address.revision,) if address.revision else (None, CONVERTED):
        with _asking(address):
            commit = _commit(api, address, branch, online)
        if commit and _tables(api, replace(address, revision=commit), online):
            return str(replace(address, revision=commit)).removeprefix("hf:")
    if not online:
        raise _missing(address)
    raise DataError(f"{address}: has no parquet files, neither its own nor made by the Hub; expected a data set of "
                    "images; download its files and give their folder instead")


@DATASETS.add("hf")
@source(where=lambda root: "on the Hugging Face Hub", pin=pinned)
def hub(options: str, access: Access) -> Dataset:
    """Any image data set of the Hugging Face Hub: `hf:OWNER/NAME` (needs `tenfold[hub]`).

    Its parquet files are read as those of `parquet:PATH` are. The URI names the commit, so the images stay the same.
    Raises UsageError for an invalid name or configuration, MissingExtraError, FetchError if the Hub can't be reached,
    DataError if the data set is not in the cache and may not be downloaded, or is unsuitable.
    """
    address = _parse(pinned(options, access.fetch))
    files = _download(address, access)
    listing = list_tables(files, str(address), access)
    return own_dataset(replace(listing, name=address.repository.rpartition("/")[2],
                               words=f"the data set {address}"), access)


def _parse(options: str) -> Address:
    if not options:
        raise UsageError(f"data set hf: received no name; {EXPECTED}")
    match = ADDRESS.fullmatch(options)
    if match is None:
        raise UsageError(f"data set hf: received {printable(options)!r}; {EXPECTED}")
    return Address(*(part or "" for part in match.groups()))


def _api() -> HfApi:
    """The client of the Hub. Raises MissingExtraError."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingExtraError("data sets of the Hugging Face Hub need the package huggingface_hub, which is not "
                                "installed; install it with: pip install 'tenfold[hub]'")
    from huggingface_hub import HfApi

    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="tenfold")


def _commit(api: HfApi, address: Address, branch: str | None, online: bool) -> str | None:
    """The commit of a branch; None if there is no such branch, or it is unknown without the Hub."""
    from huggingface_hub.errors import RevisionNotFoundError, RevisionResolutionError

    try:
        return api.resolve_revision(address.repository, repo_type="dataset", revision=branch,
                                    local_files_only=not online).resolved
    except RevisionResolutionError:
        if online:
            raise
    except RevisionNotFoundError:
        if branch != CONVERTED:
            raise
    return None


def _tables(api: HfApi, address: Address, online: bool) -> list[str]:
    """The paths of all parquet files at a commit; none if they are unknown without the Hub."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    where = {"repo_type": "dataset", "revision": address.revision}
    try:
        names = [file.path for file in get_cached_repo_tree(address.repository, **where)]
    except CachedRepoTreeNotFoundError:
        if not online:
            return []
        with _asking(address):
            names = api.list_repo_files(address.repository, **where)
    return sorted((name for name in names if name.endswith(".parquet")), key=natural)


def _download(address: Address, access: Access) -> list[Path]:
    """The files of the configuration, from the cache or downloaded into it."""
    api = _api()
    from huggingface_hub.errors import LocalEntryNotFoundError

    names = _chosen(address, _tables(api, address, access.fetch))
    if not names:
        raise _missing(address)
    patterns = [glob.escape(name) for name in names]
    try:
        folder = api.snapshot_download(address.repository, repo_type="dataset", revision=address.revision,
                                       allow_patterns=patterns, local_files_only=True)
        if all(Path(folder, name).exists() for name in names):
            return [Path(folder, name) for name in names]
    except LocalEntryNotFoundError:
        pass
    if not access.fetch:
        raise _missing(address)
    access.watcher.notice(f"downloading {counted(len(names), 'file')} of {address}")
    with _asking(address):
        folder = api.snapshot_download(
            address.repository, repo_type="dataset", revision=address.revision, allow_patterns=patterns,
            max_workers=TOGETHER, tqdm_class=transfer_bar(access.watcher))
    return [Path(folder, name) for name in names]


def _chosen(address: Address, names: list[str]) -> list[str]:
    """The files of the configuration: those in its folder, or those in no such folder.

    Raises UsageError if there are several configurations and none is chosen, or not the chosen one.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        outer = name.partition("/")[0] if "/" in name else ""
        outer = "" if outer.lower() in PLAIN_FOLDERS else outer
        found.setdefault(outer, []).append(name)
    if address.configuration in found or not names:
        return found.get(address.configuration, [])
    if not address.configuration and (len(found) == 1 or "default" in found):
        return found.get("default") or next(iter(found.values()))
    known = [name for name in found if name]
    received = f"received the configuration {printable(address.configuration)!r}" if address.configuration else \
        f"it has {counted(len(known), 'configuration')}"
    example = replace(address, configuration=known[0]) if known else replace(address, configuration="")
    raise UsageError(f"{replace(address, revision='')}: {received}; expected one of "
                     f"{printable(', '.join(known[:12])) or 'none'}, as in {replace(example, revision='')}")


def _missing(address: Address) -> DataError:
    return DataError(f"{address}: is not in the cache of the Hub ({_cache()}); run 'tenfold data fetch {address}' "
                     "while connected to the Internet")


def _cache() -> str:
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE


@contextlib.contextmanager
def _asking(address: Address) -> Iterator[None]:
    """Turn every error of a request to the Hub into a FetchError."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise FetchError(f"{address}: its owner gives access on request; ask for it on the page of the data set, then "
                         "run 'hf auth login'") from None
    except errors.RepositoryNotFoundError:
        raise FetchError(f"{address}: the Hub has no such data set, or it is private; check the name, or run 'hf auth "
                         "login' for a private one") from None
    except errors.RevisionNotFoundError:
        raise FetchError(f"{address}: the Hub has no such revision; expected a branch, a tag or a commit") from None
    except Exception as error:  # the client, its transport and the disk raise many kinds
        reason = first_line(error.__cause__ or error)
        raise FetchError(f"{address}: can't be downloaded ({reason}); check the connection and the free space in the "
                         f"cache ({_cache()}), then try again") from error
