"""Files and directories: whole or not there, whatever interrupts."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tenfold.errors import StorageError
from tenfold.storage.files import put_in_place, storing, sweep, write_directory, write_whole


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_writing_a_file_creates_its_folders(tmp_path: Path) -> None:
    for content in ("é", "é".encode(), lambda path: path.write_text("é", encoding="utf-8")):
        path = write_whole(tmp_path / "a" / "b.txt", content)
        assert path.read_text(encoding="utf-8") == "é"
        path.unlink()
    assert names(tmp_path) == ["a"]


def test_a_writer_function_gets_a_path_with_the_same_suffix(tmp_path: Path) -> None:
    suffixes: list[str] = []

    def write(path: Path) -> None:
        suffixes.append(path.suffix)
        path.write_bytes(b"")

    write_whole(tmp_path / "plot.png", write)
    assert suffixes == [".png"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = write_whole(tmp_path / "file.txt", "old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        write_whole(target, fail)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


@pytest.mark.parametrize(("number", "words"), [
    (errno.ENOSPC, "free some space there or set THIS"), (errno.EDQUOT, "free some space there or set THIS"),
    (errno.EROFS, "set THIS"),
])
def test_a_disk_error_is_reported_in_one_line_with_advice(number: int, words: str) -> None:
    with pytest.raises(StorageError) as caught, storing(Path("a/b"), "set THIS"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value) == f"can't write {Path('a/b')}: {os.strerror(number)}; {words}"


def test_other_errors_are_raised_unchanged() -> None:
    with pytest.raises(ValueError, match="mine"), storing(Path("a")):
        raise ValueError("mine")


def test_a_directory_is_replaced_completely_or_not_at_all(tmp_path: Path) -> None:
    def fill(path: Path, name: str) -> None:
        (path / "deep").mkdir()
        (path / "deep" / name).write_text(name)

    path = tmp_path / "pictures"
    for name in ("first", "second"):
        assert write_directory(path, lambda folder, name=name: fill(folder, name)) == path
    assert names(tmp_path) == ["pictures", "pictures/deep", "pictures/deep/second"]

    def fail(folder: Path) -> None:
        fill(folder, "third")
        raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        write_directory(path, fail)
    assert names(tmp_path) == ["pictures", "pictures/deep", "pictures/deep/second"]


def test_a_failed_replacement_keeps_the_old_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_directory(tmp_path / "pictures", lambda folder: (folder / "old").touch())
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if target == path and not (self / "old").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StorageError, match="can't write"):
        write_directory(path, lambda folder: (folder / "new").touch())
    assert names(tmp_path) == ["pictures", "pictures/old"]


def test_unfinished_files_of_killed_writers_are_removed(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "whole", b"whole")
    (tmp_path / "a" / ".123-half").write_bytes(b"half")
    (tmp_path / ".hidden").write_bytes(b"not ours")
    (tmp_path / ".123-folder").mkdir()
    (tmp_path / ".123-folder" / "half").write_bytes(b"half")
    sweep(tmp_path)
    assert names(tmp_path) == [".hidden", "a", "a/whole"]


def test_a_writer_killed_while_it_replaces_a_directory_loses_nothing(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from tenfold.storage.files import write_directory

        path = Path("pictures")
        write_directory(path, lambda folder: (folder / "old").touch())
        rename = Path.rename

        def killed(self, target):
            rename(self, target)
            os.kill(os.getpid(), signal.SIGKILL)

        Path.rename = killed
        write_directory(path, lambda folder: (folder / "new").touch())
    """)
    process = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "pictures").exists()
    sweep(tmp_path)
    assert names(tmp_path) == ["pictures", "pictures/old"]


def test_a_finished_file_replaces_an_existing_one(tmp_path: Path) -> None:
    for name in ("new.part", "new"):
        (tmp_path / name).write_text(name)
    put_in_place(tmp_path / "new.part", tmp_path / "new")
    assert (tmp_path / "new").read_text() == "new.part"
    assert names(tmp_path) == ["new"]
