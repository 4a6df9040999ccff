"""`make demo`: three recipes on real digits, offline, to a leaderboard and a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.demo import STUDY, demo
from tenfold.study import Study


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the demo opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_the_demo_trains_compares_and_reports(tmp_path: Path) -> None:
    result = demo(tmp_path)
    assert {row.recipe for row in result.board} == {entry.name for entry in Study.load(STUDY).models}
    assert result.skipped == ()
    assert all(row.metrics["accuracy"]["value"] > 0.9 for row in result.board)
    values = [row.metrics["roc_auc"]["value"] for row in result.board]
    assert values == sorted(values, reverse=True)
    page = result.page.read_text(encoding="utf-8")
    assert all(row.model in page for row in result.board)
