"""Trials of a search: how long it has taken."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from made_searches import OPTIONS, START
from watchers import After, at_once

from tenfold.progress import SILENT
from tenfold.search import tune
from tenfold.search.trials import Trials


def test_the_time_of_interrupted_and_of_running_trials_counts(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tune(START, runs=tmp_path, watcher=After(2, 1, at_once), **OPTIONS)
    with Trials(tmp_path / "search-small-digits-1", None, SILENT) as trials:
        before = trials.spent()
        assert before == trials.all()[0].user_attrs["seconds"] > 0
        with trials.claimed(limit=8) as claim:
            assert claim is not None
            claim.trial.set_user_attr("began", [time.time() - 100, 2])  # beside another one
            assert before + 50 <= trials.spent() < before + 60
        assert trials.spent() == before  # now no process trains it
