"""A search: its files, its verdict, and that the same call continues it."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from made_images import drawn, plant
from made_searches import OPTIONS, SPACE, START, content, told
from optuna.storages.journal import JournalFileBackend
from watchers import Listen

from tenfold.errors import StorageError, TenfoldError, UnknownNameError, UsageError
from tenfold.overview import list_runs
from tenfold.progress import Event, Step, Together, Training, Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run, State
from tenfold.search import tune, tuning
from tenfold.search.results import commonest_reason, write_page
from tenfold.search.space import Space
from tenfold.search.trials import MOST_DEATHS
from tenfold.search.tuning import Found


class Interrupt(Watcher):
    """Stops the search at the second epoch of its n-th training."""

    def __init__(self, training: int) -> None:
        self.left = training

    def on(self, event: Event) -> None:
        self.left -= isinstance(event, Training)
        if isinstance(event, Step) and self.left == 0 and event.epoch == 2:
            raise KeyboardInterrupt


def test_trials_are_runs_without_a_test_score(found: Found) -> None:
    trials = found.results["trials"]
    assert [row["number"] for row in trials] == list(range(1, 9))
    assert {row["status"] for row in trials} == {"finished", "pruned"}
    for row in trials:
        run = Run.open(found.path / row["run"])
        assert run.status().state == row["status"]
        assert run.recipe() == START.replace(row["changes"])
        assert row["curve"] == [record["val_accuracy"] for record in run.history()]
        assert row["seconds"] > 0
        assert not run.has("predictions/test.parquet")
        if row["status"] == "finished":
            assert list(run.metrics()) == ["validation"]
            assert row["value"] == run.metrics()["validation"]["accuracy"]["value"]
            assert row["epochs"] == 3
        else:
            assert row["value"] is None
            assert "is not among the best" in row["reason"]
    assert trials[0]["changes"] == {"train.learning_rate": 1e-3, "model.hidden": [8]}


def test_the_best_trial_is_a_recipe_that_runs_by_itself(found: Found) -> None:
    best = found.results["best"]
    assert best["value"] == max(row["value"] for row in found.results["trials"] if row["value"] is not None)
    recipe = Recipe.load(found.best)
    assert recipe.name == "small-tuned"
    assert recipe.replace({}).to_dict() == START.replace(best["changes"]).to_dict() | {"name": "small-tuned"}
    assert json.loads((found.path / "search.json").read_text("utf-8")) == found.results


def test_the_winner_is_judged_on_the_test_split_with_new_seeds(found: Found) -> None:
    judged, best = found.results["winner"], found.results["best"]
    runs = [Run.open(found.path / name) for name in judged["runs"]]
    assert [(run.recipe().name, run.recipe().train.seed) for run in runs] == [
        ("small-tuned", 1), ("small-tuned", 2), ("small", 1), ("small", 2)]
    assert all(run.metrics()["test"]["times"] == 1 for run in runs)
    tests = [run.metrics()["test"]["accuracy"]["value"] for run in runs]
    assert judged["selection"]["value"] == best["value"]
    assert judged["test"]["value"] == pytest.approx(sum(tests[:2]) / 2)
    assert judged["optimism"]["value"] == pytest.approx(best["value"] - judged["test"]["value"])
    assert judged["optimism"]["low"] < judged["optimism"]["value"] < judged["optimism"]["high"]
    assert judged["difference"]["value"] == pytest.approx((sum(tests[:2]) - sum(tests[2:])) / 2)
    assert 0 <= judged["difference"]["p"] <= 1
    assert judged["trials"] == 8


def test_the_page_shows_the_verdict_and_every_trial(found: Found) -> None:
    text = found.page.read_text("utf-8")
    assert "Learning curves of the trials" in text
    assert "against small" in text
    assert all(f'<td class="number">{number}</td>' in text for number in range(1, 9))
    assert "small-tuned" in text


def test_an_interrupted_search_gives_the_same_trials(found: Found, tmp_path: Path) -> None:
    for training in (3, 1):
        with pytest.raises(KeyboardInterrupt):
            tune(START, runs=tmp_path, watcher=Interrupt(training), **OPTIONS | {"final_seeds": 1})
    folder = tmp_path / "search-small-digits-1"
    results = json.loads((folder / "search.json").read_text("utf-8"))
    assert [row["status"] for row in results["trials"]] == ["finished"] * 2
    assert Run.open(folder / "trials" / "trial-3").status().state == "stopped"
    again = tune(START, runs=tmp_path, **OPTIONS | {"final_seeds": 1})
    assert again.path == folder
    assert told(again) == told(found)


def test_a_finished_search_is_shown_and_new_begins_another(found: Found) -> None:
    before, listen = content(found.path), Listen()
    shown = tune(START, runs=found.path.parent, watcher=listen, **OPTIONS)
    assert shown.results == found.results
    assert content(found.path) == before
    assert listen.trained == []
    assert any("is finished after 8 trials; --new begins another search" in said for said in listen.said)
    listen = Listen()
    with pytest.raises(KeyboardInterrupt):
        tune(START, runs=found.path.parent, new=True, watcher=Together([listen, Interrupt(1)]), **OPTIONS)
    assert f"repeat the command without --new to continue {found.path.parent / 'search-small-digits-2'}" in listen.said
    assert (found.path.parent / "search-small-digits-2" / "plan.json").is_file()


def test_another_search_under_the_same_name_is_refused_with_the_difference(found: Found, tmp_path: Path) -> None:
    (tmp_path / "search-small-digits-1").mkdir()
    plan = tmp_path / "search-small-digits-1" / "plan.json"
    plan.write_bytes((found.path / "plan.json").read_bytes())
    other = Space.loads('[search]\n"train.learning_rate" = { low = 1e-4, high = 1.0, log = true }', START)
    with pytest.raises(UsageError) as caught:
        tune(START.replace({"train.epochs": 5}), runs=tmp_path, **OPTIONS | {"space": other, "by": "loss"})
    text = str(caught.value)
    for difference in ("by: \"loss\", not \"accuracy\"", "recipe.train.epochs: 5, not 3",
                       "space.train.learning_rate.high: 1.0, not 0.1", "space.model.dropout.low: nothing, not 0.0"):
        assert difference in text
    assert "--new" in text
    assert list(content(tmp_path)) == ["search-small-digits-1/plan.json"]


def test_bad_input_leaves_nothing(tmp_path: Path) -> None:
    for options, words in (({"by": "acuracy"}, "did you mean 'accuracy'"), ({"sampler": "tpee"}, "did you mean 'tpe'"),
                           ({"pruner": "half"}, "pruner"), ({"name": "a b"}, "run name 'a b'"),
                           ({"minutes": 0}, "minutes: received 0; expected more than 0"),
                           ({"seed": -1}, "seed: received -1; expected at least 0"),
                           ({"workers": 0}, "workers: received 0; expected at least 1"),
                           ({"storage": "mysql://user:secret@host/x"}, "received 'mysql://user@host/x'")):
        with pytest.raises((UsageError, UnknownNameError), match=words):
            tune(START, runs=tmp_path / "runs", **OPTIONS | options)
    with pytest.raises(UsageError, match="chooses by the validation split, and there is none"):
        tune(START.replace({"data.validation": 0}), runs=tmp_path / "runs", **OPTIONS)
    five = START.replace({"data.classes": list("01234")})
    with pytest.raises(UsageError, match=r"top_5_accuracy for 5 classes; .*; it needs more than 5 classes"):
        tune(five, runs=tmp_path / "runs", **OPTIONS | {"by": "top_5_accuracy"})
    assert not (tmp_path / "runs").exists()


def test_an_unreachable_database_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="expected a PostgreSQL database that can be reached and written"):
        tune(START, runs=tmp_path / "runs", storage="postgresql://me@127.0.0.1:1/x", **OPTIONS)
    assert not (tmp_path / "runs").exists()


def test_a_diverged_trial_and_an_invalid_one_are_recorded_and_not_ranked(tmp_path: Path) -> None:
    space = Space.loads("""
    [search]
    "train.learning_rate" = { choices = [1e-3, 1e30] }
    "train.warmup" = { choices = [0.0, 1.5] }
    "train.epochs" = { low = 1, high = 2 }
    """, START)
    found = tune(START, runs=tmp_path, **OPTIONS | {"space": space, "sampler": "grid", "pruner": "none", "trials": 99,
                                      "final_seeds": 1})
    assert len(found.results["trials"]) == 2 * 2 * 2  # a grid ends after its last combination
    by_status = {row["status"]: row for row in found.results["trials"]}
    assert set(by_status) == {"finished", "diverged", "failed"}
    assert "became" in by_status["diverged"]["reason"]
    assert "train.warmup: received 1.5 epochs; expected fewer than train.epochs=1" in by_status["failed"]["reason"]
    assert by_status["failed"]["value"] is by_status["diverged"]["value"] is None
    assert found.results["best"]["status"] == "finished"


def test_a_search_whose_trials_all_fail_says_why_in_one_line(tmp_path: Path) -> None:
    space = Space.loads('[search]\n"train.learning_rate" = { choices = [1e30, 1e32] }', START)
    with pytest.raises(TenfoldError, match=r"no trial finished; the commonest reason: .*became.* of 2 trials\)$"):
        tune(START, runs=tmp_path, **OPTIONS | {"space": space, "trials": 2})


def test_no_trial_begins_after_the_minutes(tmp_path: Path) -> None:
    found = tune(START, runs=tmp_path, **OPTIONS | {"minutes": 1e-3, "final_seeds": 1})
    assert [row["status"] for row in found.results["trials"]] == ["finished"]
    assert found.results["winner"]["difference"] is None  # the first trial is the recipe of the start


def test_the_runs_of_a_search_are_listed(found: Found) -> None:
    names = [row["run"] for row in list_runs(found.path.parent)]
    assert f"{found.path.name}/trials/trial-8" in names
    assert f"{found.path.name}/final/small-tuned-1" in names


def test_the_space_of_the_fixture_holds_its_start() -> None:
    assert SPACE.start(START) == {"train.learning_rate": 1e-3, "model.hidden": [8]}


def test_the_page_can_be_read_while_the_search_runs(found: Found, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "PAGE_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        tune(START, runs=tmp_path, watcher=Interrupt(3), **OPTIONS)
    text = (tmp_path / "search-small-digits-1" / "search.html").read_text("utf-8")
    assert "The search is not finished" in text
    assert '<td class="number">2</td>' in text
    assert '<meta http-equiv="refresh" content="60">' in text
    assert "refresh" not in found.page.read_text("utf-8")


def test_the_page_of_a_finished_search_is_written_again_if_the_process_was_killed_before(
        found: Found, tmp_path: Path) -> None:
    folder = shutil.copytree(found.path, tmp_path / found.path.name)
    page, results = folder / "search.html", folder / "search.json"
    page.write_text("The search is not finished", "utf-8")
    os.utime(page, ns=(0, results.stat().st_mtime_ns - 1))  # of the running search
    again = tune(START, runs=tmp_path, **OPTIONS)
    assert again.results == found.results
    assert "against small" in again.page.read_text("utf-8")


def test_what_a_process_left_that_was_killed_while_it_wrote_the_page_is_removed(found: Found, tmp_path: Path) -> None:
    (tmp_path / ".1-search.html").touch()
    write_page(tmp_path, found.results)
    assert list(content(tmp_path)) == ["search.html"]


def test_a_trial_that_is_killed_every_time_fails(tmp_path: Path) -> None:
    for _ in range(MOST_DEATHS):
        with pytest.raises(KeyboardInterrupt):
            tune(START, runs=tmp_path, watcher=Interrupt(1), **OPTIONS | {"trials": 2})
        Run(tmp_path / "search-small-digits-1" / "trials" / "trial-1").write_status(State.RUNNING)  # as after SIGKILL
    again = tune(START, runs=tmp_path, **OPTIONS | {"trials": 2, "final_seeds": 1})
    first, second = again.results["trials"]
    assert (first["status"], first["reason"]) == (
        "failed", "its process died 5 times after 1 epoch; memory may be short")
    assert Run.open(again.path / first["run"]).status().state is State.FAILED
    assert second["status"] == "finished"


def test_an_interrupted_trial_with_a_damaged_history_fails_and_the_search_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tune(START, runs=tmp_path, watcher=Interrupt(1), **OPTIONS | {"trials": 2})
    history = tmp_path / "search-small-digits-1" / "trials" / "trial-1" / "history.csv"
    history.write_bytes(history.read_bytes()[:-20])
    again = tune(START, runs=tmp_path, **OPTIONS | {"trials": 2, "final_seeds": 1})
    first, second = again.results["trials"]
    assert (first["status"], second["status"]) == ("failed", "finished")
    assert "history.csv" in first["reason"]


def test_a_full_disk_ends_the_search_and_loses_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(journal: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        if "intermediate_value" in logs[0] and logs[0]["step"] == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(journal, logs)

    append, options = JournalFileBackend.append_logs, OPTIONS | {"trials": 1, "final_seeds": 1}
    monkeypatch.setattr(JournalFileBackend, "append_logs", full)
    with pytest.raises(StorageError, match=r"journal\.log: No space left on device; free some space there or repeat"):
        tune(START, runs=tmp_path, **options)
    monkeypatch.undo()
    row, = tune(START, runs=tmp_path, **options).results["trials"]
    assert (row["status"], row["epochs"]) == ("finished", 3)


def test_the_size_of_own_images_can_be_searched(tmp_path: Path) -> None:
    photos = plant(tmp_path / "photos", {f"{kind}/{i}.png": drawn(100 * place + i)
                                         for place, kind in enumerate(("cats", "dogs")) for i in range(30)})
    start = START.replace({"data.source": str(photos), "data.validation": 16, "data.test": 16, "train.epochs": 1,
                           "model.image_size": 8})
    space = Space.loads('[search]\n"model.image_size" = { choices = [8, 16] }', start)
    found = tune(start, runs=tmp_path / "runs", **OPTIONS | {"space": space, "trials": 2, "sampler": "grid"})
    data = [Run(path).environment()["dataset"] for path in (found.path / "trials").iterdir()]
    assert {each["shape"][0] for each in data} == {8, 16}
    assert len({each["splits"]["test"]["identity"] for each in data}) == 1


def test_the_commonest_reason_counts_those_that_differ_in_numbers_alone() -> None:
    rows = [{"reason": f"the loss became nan in step {i}; lower train.learning_rate (now {i}.5e+34)"} for i in range(3)]
    assert commonest_reason([*rows, {"reason": "memory is short"}]) == f"{rows[0]['reason']} (3 of 4 trials)"
