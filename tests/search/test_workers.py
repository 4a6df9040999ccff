"""Several processes search together: no trial is lost, none is done twice."""

from __future__ import annotations

from pathlib import Path

from made_searches import OPTIONS, START
from watchers import Listen

from tenfold.run import Run
from tenfold.search import tune


def test_two_workers_train_each_trial_once(tmp_path: Path) -> None:
    listen = Listen()
    start = START.replace({"train.epochs": 1})
    found = tune(start, runs=tmp_path, watcher=listen, **OPTIONS | {"trials": 6, "workers": 2, "final_seeds": 1})
    trials = found.results["trials"]
    assert [row["number"] for row in trials] == list(range(1, 7))
    assert {row["status"] for row in trials} == {"finished"}
    assert sorted(run.name for run in Run.list(found.path / "trials")) == [f"trial-{i}" for i in range(1, 7)]
    assert all(sum(said.startswith(f"trial {number} ") for said in listen.said) == 1 for number in range(1, 7))
    assert all(run.environment()["threads"] == 1 for run in Run.list(found.path / "trials"))
