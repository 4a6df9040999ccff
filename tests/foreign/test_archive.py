"""Hostile and damaged archives: each is refused in one line, runs no code, opens no other file, takes no memory."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from made_files import rewritten

from tenfold.errors import ModelFileError
from tenfold.foreign import model_copy
from tenfold.foreign.load import load_model

ARCHIVES: dict[str, tuple[dict[str, bytes], str]] = {
    "zip slip": ({"../owned.txt": b"x"}, r"'\.\./owned\.txt'"),
    "an absolute path": ({"/tmp/owned.txt": b"x"}, "owned.txt"),
    "assets": ({"assets/_vocabulary.txt": b"/etc/passwd"}, "assets"),
    "zip bomb in an ignored member": ({"tenfold.json": b"0" * (7 << 20)}, "unpacks"),
    "a member that is too large": ({"tenfold.json": b"0" * (40 << 20)}, "declares"),
}


@pytest.mark.parametrize("hostile", ARCHIVES, ids=str)
def test_a_hostile_archive_is_refused(hostile: str, good: Path, tmp_path: Path) -> None:
    more, said = ARCHIVES[hostile]
    path = rewritten(good, tmp_path / "hostile.keras", more=more)
    with pytest.raises(ModelFileError, match=rf"^[^\n]*hostile.keras[^\n]*{said}[^\n]*$"), model_copy(path):
        pass
    assert not (tmp_path.parent / "owned.txt").exists()
    assert not Path("/tmp/owned.txt").exists()


def test_weights_that_expand_a_thousandfold_are_refused(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("config.json", archive.read("config.json"))
        new.writestr("model.weights.h5", bytes(100 << 20))
    with pytest.raises(ModelFileError, match="expected at most 100 : 1"):
        load_model(path)


def packed(good: Path, path: Path, method: int, graph: bytes | None = None) -> Path:
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(path, "w", method) as new:
        new.writestr("config.json", graph or archive.read("config.json"))
        new.writestr("model.weights.h5", archive.read("model.weights.h5"))
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_packed_by_other_methods_are_refused(method: int, good: Path, tmp_path: Path) -> None:
    """Their decoders unpack everything at once, even for a short read."""
    with pytest.raises(ModelFileError, match=rf"hostile.keras: refused: config.json is packed by method {method}; "
                                             "expected stored or deflated$"):
        load_model(packed(good, tmp_path / "hostile.keras", method))


def test_a_graph_longer_than_declared_is_not_expanded(good: Path, tmp_path: Path) -> None:
    path = packed(good, tmp_path / "hostile.keras", zipfile.ZIP_DEFLATED, b" " * (200 << 20))
    honest, false = struct.pack("<L", 200 << 20), struct.pack("<L", 9999)
    content = path.read_bytes()
    assert content.count(honest) == 2  # before the member, and in the table of contents
    path.write_bytes(content.replace(honest, false))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=r"hostile.keras: is damaged \(Bad CRC-32 for file 'config.json'\)$"):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, -30])
def test_a_truncated_file_is_refused(kept: float, good: Path, tmp_path: Path) -> None:
    content = good.read_bytes()
    end = int(kept * len(content)) if isinstance(kept, float) else kept
    (tmp_path / "half.keras").write_bytes(content[:end])
    with pytest.raises(ModelFileError, match=r"^[^\n]*half.keras[^\n]*truncated[^\n]*$"):
        load_model(tmp_path / "half.keras")


def test_a_flipped_byte_is_detected(good: Path, tmp_path: Path) -> None:
    content = bytearray(good.read_bytes())
    content[content.index(b"model.weights.h5") + 3000] ^= 1
    (tmp_path / "flipped.keras").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"^[^\n]*flipped.keras[^\n]*damaged[^\n]*$"):
        load_model(tmp_path / "flipped.keras")


@pytest.mark.parametrize(("name", "content", "said"), [
    ("model.pkl", b"\x80\x04cos\nsystem\n", "ends in"), ("model.keras", b"\x80\x04cos\nsystem\n", "not a zip"),
    ("model.h5", b"\x80\x04cos\nsystem\n", "not a complete HDF5"), ("missing.keras", None, "can't be read"),
])
def test_a_wrong_type_is_refused(name: str, content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"^[^\n]*{said}[^\n]*$"):
        load_model(tmp_path / name)
