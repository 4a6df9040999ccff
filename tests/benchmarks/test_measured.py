"""Pages show the committed results between their marks, and keep everything else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import measured, record

GATE = {
    "images": 10000, **{name: {"planted": 100, "found": 101, "right": 99, "recall": 0.99, "precision": 99 / 101}
                        for name in ("exact", "near", "truncated", "label errors")},
    "seconds": {"without label errors": 42.4, "label errors": 6.0, "second look": 0.31},
    "machine": {"threads": 2, "processor": "A processor"}, "command": "python -m benchmarks.gate",
}
PAGE = "Before.\n\n<!-- benchmarks/results/gate-10000.json -->\n\nold\n\n<!-- end -->\n\nAfter.\n"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(measured, "read", lambda name: record.read(name, tmp_path))
    return tmp_path


def test_the_result_stands_between_the_marks(results: Path) -> None:
    (results / "gate-10000.json").write_text(json.dumps(GATE), encoding="utf-8")
    text = measured.filled(PAGE)
    assert text.startswith("Before.\n\n<!-- benchmarks/results/gate-10000.json -->\n\n10,000 images:\n")
    assert "| 100 nearly equal ones | 99 | 2 | 99.0% | 98.0% |" in text
    assert "`python -m benchmarks.gate` on 2 threads of A processor.\n\n<!-- end -->\n\nAfter.\n" in text
    assert "old" not in text
    assert measured.filled(text) == text


def test_a_missing_result_is_not_measured(results: Path) -> None:
    assert "-->\n\nNot measured.\n\n<!-- end -->" in measured.filled(PAGE)


def test_every_table_has_its_place_in_a_page() -> None:
    named = [name for path in measured.DOCS.glob("*.md")
             for name in re.findall(r"<!-- benchmarks/results/([\w-]+)\.json -->", path.read_text(encoding="utf-8"))]
    assert sorted(named) == sorted(measured.TABLES)
