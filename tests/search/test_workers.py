"""Several processes search together: no trial is lost, none is done twice."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from made_searches import OPTIONS, START
from watchers import Listen

from tenfold.progress import Event, Notice
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


class Killer(Listen):
    """Kills one worker process after the first trial."""

    killed = False

    def on(self, event: Event) -> None:
        super().on(event)
        if isinstance(event, Notice) and event.text.startswith("trial ") and not self.killed:
            self.killed = True
            multiprocessing.active_children()[0].kill()


def test_the_others_take_the_trial_of_a_worker_that_was_killed(tmp_path: Path) -> None:
    start, killer = START.replace({"train.epochs": 1}), Killer()
    found = tune(start, runs=tmp_path, watcher=killer, **OPTIONS | {"trials": 4, "workers": 2, "final_seeds": 1})
    assert {row["status"] for row in found.results["trials"]} == {"finished"}
    assert [said for said in killer.said if "died" in said] == [
        "a worker process died (exit code -9); the others go on, and take its trial"]
