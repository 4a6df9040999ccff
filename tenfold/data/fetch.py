"""Reliable downloads: resumable, checked by SHA-256; a file gets its final name only when it is complete."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tenfold.data.location import ADVICE
from tenfold.data.source import Access
from tenfold.errors import FetchError
from tenfold.progress import SILENT, Watcher
from tenfold.storage.files import put_in_place, storing
from tenfold.storage.locks import lock_path, locked

ATTEMPTS = 5  # most requests for one file; a request is repeated only if the last one received data
BLOCK = 1 << 18


@dataclass(frozen=True)
class Archive:
    """A file on the web: its URL, expected SHA-256 (hex) and size in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The file name, the last part of the URL."""
        return self.url.rpartition("/")[2]

    def fetch(self, folder: Path, access: Access) -> Path:
        """Download the file into `folder` with `fetch`, unless it is already there; return its path."""
        return fetch(self.url, folder / self.name, self.sha256, access.watcher)


def fetch(
    url: str, destination: str | Path, sha256: str, watcher: Watcher = SILENT, timeout: float = 30
) -> Path:
    """Download `url` to the file `destination`, unless it is already there; return its path.

    Data are stored in `DESTINATION.part`, where the next call resumes. The file gets its final name only if its
    SHA-256 (hex) is correct. `watcher` receives the number of bytes so far. `timeout` is the longest wait for data
    from the server, in seconds. If two processes call this at the same time, only one downloads.

    Raises FetchError if the server can't be reached, stalls or sends data with another hash (these are removed),
    StorageError if the disk can't be written.
    """
    destination = Path(destination)
    if destination.exists():
        return verified(destination, url, sha256)
    with storing(destination.parent, ADVICE):
        destination.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock_path(destination), advice=ADVICE):
        if destination.exists():
            return verified(destination, url, sha256)
        part = destination.with_name(destination.name + ".part")
        watcher.notice(f"downloading {url}")
        _download(url, part, destination, sha256, watcher, timeout)
        received = digest_of(part, sha256)
        if received != sha256:
            with storing(part, ADVICE):
                part.unlink()
            raise FetchError(f"{url}: received a file with {digest_name(sha256)} {received}; expected {sha256}; it "
                             f"was removed; try again, or put the correct {destination.name} at {destination}")
        with storing(destination, ADVICE):
            put_in_place(part, destination)
    return destination


def extract(archive: str | Path, members: Iterable[str], destination: str | Path) -> Path:
    """Unpack `members` of one folder in a tar file as the folder `destination`; return its path.

    Members are named as in the archive, `FOLDER/FILE`; others are ignored. The folder gets its final name only when it
    is complete. If it already exists, nothing is done. Raises FetchError if the archive is damaged, a member is
    missing or its path points outside the folder; StorageError.
    """
    archive, destination, members = Path(archive), Path(destination), list(members)
    if destination.exists():
        return destination
    part = destination.with_name(destination.name + ".part")
    with storing(part, ADVICE):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            for name in members:
                member = tar.getmember(name)
                if not member.isreg():
                    raise FetchError(f"{archive}: {name} is not a regular file; expected the official archive")
                tar.extract(member, part, filter="data")
    except KeyError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise FetchError(f"{archive}: {error.args[0]}; expected the members {', '.join(members)}") from None
    except (tarfile.TarError, zlib.error, EOFError, OSError, FetchError) as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, FetchError):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            with storing(destination, ADVICE):
                raise
        raise FetchError(f"{archive} can't be unpacked: {error}; remove it and download it again") from None
    with storing(destination, ADVICE):
        for folder in {Path(name).parts[0] for name in members}:
            os.replace(part / folder, destination)
        part.rmdir()
    return destination


def digest_of(path: Path, like: str) -> str:
    """The hash of a file (hex), of the same kind as `like`: SHA-256, or MD5 if it has 32 digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5" if len(like) == 32 else "sha256").hexdigest()


def digest_name(digest: str) -> str:
    """The name of the hash function of `digest`."""
    return "MD5" if len(digest) == 32 else "SHA-256"


def verified(path: Path, url: str, sha256: str) -> Path:
    """Return the path if the file has that SHA-256 (or MD5). Raises FetchError otherwise."""
    received = digest_of(path, sha256)
    if received != sha256:
        raise FetchError(f"{path} has {digest_name(sha256)} {received}; expected {sha256} as at {url}; remove "
                         "it or replace it with the correct file")
    return path


def _download(
    url: str, part: Path, destination: Path, sha256: str, watcher: Watcher, timeout: float
) -> None:
    """Complete the file `part`, with further requests if the connection breaks."""
    for attempt in range(ATTEMPTS):
        before = _size(part)
        try:
            return _transfer(url, part, sha256, watcher, timeout)
        except (OSError, http.client.HTTPException) as error:
            if _size(part) > before and attempt + 1 < ATTEMPTS:
                continue
            raise FetchError(f"{url}: {_reason(error, timeout)}; expected {destination.name} with "
                             f"{digest_name(sha256)} {sha256}; try again later, or download it by hand and put it at "
                             f"{destination}") from None


def _transfer(url: str, part: Path, sha256: str, watcher: Watcher, timeout: float) -> None:
    """Make one request and append its data to `part`. Raises OSError or HTTPException if the connection breaks."""
    response, have = _request(url, part, sha256, timeout)
    if response is None:
        return
    with response:
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        try:
            with storing(part, ADVICE), part.open("ab" if have else "wb") as file:
                watcher.advance("download", have, total, "bytes")
                while block := _receive(response):
                    file.write(block)
                    have += len(block)
                    watcher.advance("download", have, total, "bytes")
                file.flush()
                os.fsync(file.fileno())
        except _NetworkError as error:
            raise error.cause from None
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have:,} of {total:,} bytes")


def _request(
    url: str, part: Path, sha256: str, timeout: float
) -> tuple[http.client.HTTPResponse | None, int]:
    """The server's response and the offset of its data in the file; no response if `part` is complete."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "tenfold", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        if digest_of(part, sha256) == sha256:
            return None, have
        return _from_the_start(url, part, sha256, timeout)
    if not have or response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return response, 0  # the whole file: nothing is there yet, or the server ignores ranges
    if not re.match(rf"bytes {have}-", response.headers.get("Content-Range", "")):
        response.close()
        return _from_the_start(url, part, sha256, timeout)
    return response, have


def _from_the_start(
    url: str, part: Path, sha256: str, timeout: float
) -> tuple[http.client.HTTPResponse | None, int]:
    with storing(part, ADVICE):
        part.unlink()
    return _request(url, part, sha256, timeout)


class _NetworkError(Exception):
    """Wraps a network error, so that `storing` does not report it as an error of the disk."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


def _receive(response: http.client.HTTPResponse) -> bytes:
    """The data received so far from the server; empty at the end."""
    try:
        return response.read1(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _NetworkError(error) from None


def _reason(error: Exception, timeout: float) -> str:
    """The reason why a transfer failed, in words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"the server sent nothing for {timeout:g} seconds"
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
