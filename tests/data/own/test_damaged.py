"""Short versions of `python -m drill.imports`: damaged files are named, and damaged sources end in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from drill.imports import ENDINGS, MOST_MEMORY, import_folder, import_sources, sources


@pytest.mark.parametrize("kind", ENDINGS)
def test_every_damaged_file_is_an_image_or_named(tmp_path: Path, kind: str) -> None:
    found = import_folder(kind, 60, tmp_path, seed=1)
    assert not found.lost
    assert found.images + found.left_out == 60
    assert found.images
    assert found.left_out
    assert found.memory < MOST_MEMORY


@pytest.mark.parametrize("name", sources())
def test_a_damaged_source_ends_in_one_line_or_is_a_data_set(tmp_path: Path, name: str) -> None:
    outcomes = list(import_sources(name, 60, tmp_path / "source", seed=1))
    assert set(outcomes) <= {"read", "refused"}
    assert "refused" in outcomes
