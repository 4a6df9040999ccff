"""Files of npm packages are kept only if they are those that were pinned."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from pathlib import Path

import pytest

from tenfold.export.page.packages import Package, paths, store, stored

SCRIPT = b"export const one = 1;"


def archive(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("package/dist/a/one.js")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def package(packed: bytes, content: bytes = SCRIPT, name: str = "a/one.js") -> Package:
    return Package("one", "1.0", hashlib.sha256(packed).hexdigest(), len(packed), "Copyright of nobody",
                   {name: hashlib.sha256(content).hexdigest()})


def test_a_kept_file_is_compressed_and_found_again(tmp_path: Path) -> None:
    packed = archive(SCRIPT)
    pinned = package(packed)
    assert stored(pinned, tmp_path) is None
    store(pinned, packed, tmp_path)
    found = stored(pinned, tmp_path)
    assert found is not None
    assert {name: lzma.decompress(content) for name, content in found.items()} == {"one.js": SCRIPT}


def test_another_archive_or_file_is_refused(tmp_path: Path) -> None:
    packed, other = archive(SCRIPT), archive(b"other")
    with pytest.raises(ValueError, match=r"one-1\.0\.tgz has SHA-256 .*; expected "):
        store(package(packed), other, tmp_path)
    with pytest.raises(ValueError, match=r"a/one\.js has SHA-256 .*; expected "):
        store(package(other), other, tmp_path)
    with pytest.raises(KeyError):
        store(package(packed, name="two.js"), packed, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"no xz", lzma.compress(b"of another version")], ids=["empty", "bad", "old"])
def test_a_damaged_or_older_file_counts_as_missing(tmp_path: Path, content: bytes) -> None:
    packed = archive(SCRIPT)
    store(package(packed), packed, tmp_path)
    paths(package(packed), tmp_path)["a/one.js"].write_bytes(content)
    assert stored(package(packed), tmp_path) is None
