"""The caches of decoded images and features: listed by data set, removed unless a process is filling them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tenfold.cli import app
from tenfold.data import open_dataset
from tenfold.data.caches import Entry, chosen, entries, remove
from tenfold.data.location import feature_root, finding_root, image_root
from tenfold.errors import UsageError
from tenfold.storage.arrays import StoredArray
from tenfold.storage.locks import lock_path, locked


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pets(tmp_path: Path, rng: np.random.Generator) -> str:
    """The URI of a folder with six images, which have been decoded, and a file that is no image."""
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (12, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / label / f"{number}.png")
    (tmp_path / "pets" / "cat" / "broken.png").write_bytes(b"no image")
    return open_dataset(str(tmp_path / "pets")).uri


@pytest.fixture
def features() -> StoredArray:
    """Features of a data set that are complete."""
    stored = StoredArray(feature_root() / f"{'f' * 64}.npy", (20, 8), np.dtype(np.float32), about={"uri": "digits"})
    stored.fill(lambda start, end: np.ones((end - start, 8), np.float32), 5)
    return stored


def interrupted() -> StoredArray:
    """Images whose decoding was stopped half-way."""
    stored = StoredArray(image_root() / f"{'d' * 32}.npy", (20, 4, 4, 3), np.dtype(np.uint8),
                         about={"uri": "zip:/x/a.zip"})
    with pytest.raises(KeyboardInterrupt):
        stored.fill(lambda start, end: np.zeros((end - start, 4, 4, 3), np.uint8), 5, stop=lambda: True)
    return stored


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def by_name(found: list[Entry]) -> dict[str, Entry]:
    return {entry.name: entry for entry in found}


def test_entries_name_data_set_shape_and_size(cache: Path, pets: str, features: StoredArray) -> None:
    found = by_name(entries())
    assert set(found) == {"pets", "digits"}
    assert (found["pets"].kind, found["digits"].kind) == ("images", "features")
    assert found["pets"].uri == pets
    assert found["pets"].shape == (7, 16, 16, 3)
    assert found["digits"].shape == (20, 8)
    assert found["pets"].state == found["digits"].state == "complete"
    assert found["pets"].size >= 7 * 16 * 16 * 3
    assert found["digits"].changed == pytest.approx(features.path.stat().st_mtime, abs=5)


def test_an_interrupted_decoding_is_unfinished(cache: Path) -> None:
    interrupted()
    (entry,) = entries()
    assert (entry.name, entry.state, entry.shape) == ("a", "unfinished", (20, 4, 4, 3))
    assert remove([entry]) == ([entry], [])
    assert left(cache) == []


def test_clearing_removes_every_file_of_an_entry(cache: Path, pets: str, features: StoredArray) -> None:
    interrupted()
    assert [name for name in left(cache) if name.endswith(".unread")]
    (found,) = chosen(entries(), ["pets"])
    remove([found])
    assert set(by_name(entries())) == {"digits", "a"}
    remove(entries())
    assert left(cache) == []
    assert len(open_dataset(pets).train) == 6  # it is decoded again


def test_an_array_that_a_process_is_filling_stays(cache: Path, features: StoredArray) -> None:
    stored = interrupted()
    with locked(lock_path(stored.path)):
        found = by_name(entries())
        assert found["a"].state == "in use"
        removed, kept = remove(found.values())
        assert ([entry.name for entry in removed], [entry.name for entry in kept]) == (["digits"], ["a"])
    assert [name for name in left(cache) if name.endswith(".part")]
    assert entries()[0].state == "unfinished"


def test_an_entry_is_chosen_by_name_uri_or_key(pets: str, features: StoredArray) -> None:
    found = entries()
    assert [entry.name for entry in chosen(found, ["digits"])] == ["digits"]
    assert [entry.name for entry in chosen(found, [pets])] == ["pets"]
    assert [entry.name for entry in chosen(found, ["ffffff"])] == ["digits"]
    assert len(chosen(found, ())) == 2
    for name in ("fff", "photos"):
        with pytest.raises(UsageError, match=f"'{name}' is not in the caches; expected the name .*pets, digits"):
            chosen(found, [name])


def test_damaged_and_unknown_files_are_listed_and_removed(cache: Path) -> None:
    image_root().mkdir(parents=True)
    (image_root() / "abcdef0123.npy").write_bytes(b"no array")
    (image_root() / "abcdef0123.json").write_text("[]")
    (entry,) = entries()
    assert (entry.name, entry.shape, entry.state) == ("", (), "complete")
    remove([entry])
    assert left(cache) == []


def test_the_command_lists_and_clears(cache: Path, pets: str, features: StoredArray) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["data", "cache", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "pets" in run()
    assert "20" in run("digits")
    shown = json.loads(run("--json"))
    assert shown["directories"] == {"images": str(image_root()), "features": str(feature_root()),
                                    "findings": str(finding_root())}
    assert [(entry["name"], entry["shape"], entry["state"]) for entry in shown["entries"]] == [
        ("pets", [7, 16, 16, 3], "complete"), ("digits", [20, 8], "complete")]
    assert "removed 1 of 1" in run("--clear", "pets")
    assert [entry["name"] for entry in json.loads(run("--clear", "--json"))["removed"]] == ["digits"]
    assert left(cache) == []
    assert "0 in the caches" in run()
    assert CliRunner().invoke(app, ["data", "cache", "nothing"]).exit_code == 2
