"""Downloads: resumed, checked, never half a file under its final name."""

import hashlib
import io
import os
import socket
import tarfile
import threading
from pathlib import Path

import pytest
from watchers import Listen

from tenfold.data.fetch import digest_of, extract, fetch
from tenfold.errors import FetchError, StorageError
from tenfold.progress import Advance

CONTENT = bytes(range(256)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def target(root: Path) -> Path:
    return root / "deep" / "file.bin"


@pytest.fixture
def served(server):
    server.content = CONTENT
    return server


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def received(listen: Listen) -> list[tuple[int, int | None]]:
    return [(event.done, event.total) for event in listen.events if isinstance(event, Advance)]


def test_fetch_writes_only_the_file(served, target):
    listen = Listen()
    assert fetch(served.url(), target, SHA, listen) == target
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == ["file.bin"]
    seen = received(listen)
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_an_existing_file_is_not_fetched_again(served, target):
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    fetch(served.url(), target, SHA)
    assert served.ranges == []


def test_a_wrong_file_put_there_by_hand_is_refused_and_kept(served, target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(FetchError, match=f"expected {SHA}"):
        fetch(served.url(), target, SHA)
    assert target.read_bytes() == b"mine"


@pytest.mark.parametrize("mode", ["ranges", "plain", "misplaced"])
def test_a_partial_download_is_resumed_or_restarted(served, target, mode):
    served.mode = mode
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(CONTENT[:1000])
    listen = Listen()
    fetch(served.url(), target, SHA, listen)
    assert target.read_bytes() == CONTENT
    assert served.ranges[0] == "bytes=1000-"
    assert received(listen)[0] == (1000 if mode == "ranges" else 0, len(CONTENT))


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"too much", b"x" * len(CONTENT)])
def test_a_partial_download_of_full_size_is_kept_or_restarted(served, target, part):
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(part)
    fetch(served.url(), target, SHA)
    assert target.read_bytes() == CONTENT
    assert served.ranges == ([f"bytes={len(part)}-"] if part == CONTENT else [f"bytes={len(part)}-", None])


def test_a_connection_that_breaks_is_resumed_within_one_call(served, target):
    served.mode = "cut"
    with pytest.raises(FetchError, match="the connection ended after"):
        fetch(served.url(), target, SHA)
    assert served.ranges[1] == f"bytes={len(CONTENT) // 2}-"
    assert leftovers(target) == ["file.bin.part"]
    served.mode = "ranges"
    assert fetch(served.url(), target, SHA).read_bytes() == CONTENT


def test_a_wrong_hash_is_reported_with_the_expected_one_and_the_download_removed(served, target):
    wrong = "0" * 64
    with pytest.raises(FetchError, match=f"SHA-256 {SHA}; expected {wrong}") as caught:
        fetch(served.url(), target, wrong)
    assert "\n" not in str(caught.value)
    assert leftovers(target) == []


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("silent", r"sent nothing for 0\.2 seconds"), ("stall", r"sent nothing for 0\.2 seconds"),
     ("missing", "404")],
)
def test_a_failing_server_is_reported_in_one_line(served, target, mode, reason):
    served.mode = mode
    with pytest.raises(FetchError, match=reason) as caught:
        fetch(served.url(), target, SHA, timeout=0.2)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in (served.url(), "file.bin", SHA, str(target)))
    assert not target.exists()


def test_a_refused_connection(target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.bin"
        with pytest.raises(FetchError, match="refused"):
            fetch(url, target, SHA, timeout=1)


def test_two_simultaneous_fetches_download_once(served, target):
    threads = [threading.Thread(target=fetch, args=(served.url(), target, SHA)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert served.ranges == [None]
    assert leftovers(target) == ["file.bin"]


def test_a_stale_lock_file_of_a_dead_process_does_not_block(served, target):
    target.parent.mkdir()
    target.with_name("file.bin.lock").write_bytes(b"")
    assert fetch(served.url(), target, SHA).exists()


def test_a_place_that_cannot_be_written_is_a_storage_error(served, root):
    (root / "deep").write_text("a file where a directory should be")
    with pytest.raises(StorageError, match="TENFOLD_DATA"):
        fetch(served.url(), root / "deep" / "file.bin", SHA)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_a_storage_error(served, target):
    target.parent.mkdir()
    target.with_name("file.bin.part").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="No space left"):
        fetch(served.url(), target, SHA)


# ----------------------------------------------------------------------------------------------------


def write_tar(path: Path, members: dict[str, bytes], link: str | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
    return path


def test_extract_takes_only_the_expected_members(root):
    members = {"folder/one": b"1", "folder/two": b"2", "../evil": b"3", "other": b"4"}
    archive = write_tar(root / "a.tar.gz", members)
    folder = extract(archive, ["folder/one", "folder/two"], root / "folder")
    assert sorted(path.name for path in folder.iterdir()) == ["one", "two"]
    assert sorted(path.name for path in root.iterdir()) == ["a.tar.gz", "folder"]
    assert not (root.parent / "evil").exists()


@pytest.mark.parametrize(
    ("members", "wanted", "reason"),
    [
        ({"folder/one": b"1"}, ["folder/one", "folder/two"], "folder/two"),
        ({"../evil": b"1"}, ["../evil"], "unpacked"),
        ({"folder/one": b"1"}, ["folder/link"], "not a regular file"),
    ],
)
def test_extract_leaves_nothing_of_an_unexpected_archive(root, members, wanted, reason):
    archive = write_tar(root / "a.tar.gz", members, link="folder/link")
    with pytest.raises(FetchError, match=reason):
        extract(archive, wanted, root / "folder")
    assert [path.name for path in root.iterdir()] == ["a.tar.gz"]


def test_extract_of_a_truncated_archive(root, rng):
    archive = write_tar(root / "a.tar.gz", {"folder/one": rng.bytes(100_000)})
    archive.write_bytes(archive.read_bytes()[:50_000])
    with pytest.raises(FetchError, match=r"a\.tar\.gz"):
        extract(archive, ["folder/one"], root / "folder")
    assert not (root / "folder").exists()


def test_the_digest_of_a_file(root):
    (root / "file").write_bytes(CONTENT)
    assert digest_of(root / "file", SHA) == SHA
