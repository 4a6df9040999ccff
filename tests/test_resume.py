"""Nothing is lost: stopped or killed anywhere, a run resumes to the same bits."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from watchers import After, Listen, signalled

import tenfold
from drill.training import content
from tenfold.data import Dataset
from tenfold.errors import RunError, UsageError
from tenfold.jobs import steps
from tenfold.progress import Evaluating, Event, Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.training import checkpoint

RECIPE = Recipe.from_dict({
    "data": {"source": "shapes:train=300,test=80,seed=4"},
    "model": {"name": "cnn", "filters": [4, 8], "norm": "batch", "dropout": 0.2, "dense": [16]},
    "train": {
        "epochs": 3, "batch_size": 30, "schedule": "one-cycle", "learning_rate": 5e-3,
        "augment": {"mirror": {}, "translate": {}, "mixup": {}},
    },
}, name="small")
STEPS = 9  # of an epoch


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return tenfold.open_dataset(RECIPE.data.source)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Run:
    """The run that nothing interrupted."""
    return tenfold.train(RECIPE, dataset, runs=tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("moment", [(1, 1), (1, STEPS), (2, 1), (2, 5), (3, STEPS)], ids=str)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_resumes_to_the_same_bits(
    moment: tuple[int, int], number: int, whole: Run, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(RECIPE, dataset, runs=tmp_path, watcher=After(*moment, signalled(number)))
    run = Run.open(tmp_path / "small-shapes-1")
    assert run.status()["status"] == "stopped"
    snapshot = checkpoint.load(run, "last")
    assert (snapshot.position.epoch, snapshot.position.step) == (moment[0] - 1, moment[1])
    assert content(tenfold.resume(run)) == content(whole)
    assert run.status()["status"] == "finished"
    assert not list(run.path.rglob(".*"))


def test_a_run_stopped_again_and_again_still_ends_the_same(whole: Run, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(RECIPE, dataset, runs=tmp_path, watcher=After(1, 2, signalled()))
    run = Run.open(tmp_path / "small-shapes-1")
    for moment in [(1, 3), (1, 8), (2, 9), (3, 4)]:
        with pytest.raises(KeyboardInterrupt):
            tenfold.resume(run, watcher=After(*moment, signalled()))
    assert content(tenfold.resume(run)) == content(whole)


def test_a_killed_run_is_reported_as_died_and_resumes_to_the_same_bits(whole: Run, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.dumps())
    code = textwrap.dedent("""
        import os, signal, sys
        import tenfold
        from tenfold.progress import Step

        class Kill(tenfold.Watcher):
            def on(self, event):
                if isinstance(event, Step) and (event.epoch, event.step) == (2, 4):
                    os.kill(os.getpid(), signal.SIGKILL)

        tenfold.train("recipe.toml", runs=".", watcher=Kill())
    """)
    killed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    run = Run.open(tmp_path / "small-shapes-1")
    assert run.read_json("status.json")["status"] == "running"
    assert run.status()["status"] == "died"
    assert content(tenfold.resume(run)) == content(whole)


def test_a_second_process_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(RECIPE, dataset, runs=tmp_path, watcher=After(1, 2, signalled()))
    run = Run.open(tmp_path / "small-shapes-1")
    code = textwrap.dedent(f"""
        import time
        from tenfold.run import Run
        with Run.open({str(run.path)!r}).writing():
            print(flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            with pytest.raises(RunError, match="another process is writing"):
                tenfold.resume(run)
            with pytest.raises(RunError, match="another process is writing"):
                tenfold.evaluate(run)
        finally:
            holder.kill()
    assert tenfold.resume(run).status()["status"] == "finished"


def test_a_finished_run_resumes_only_with_more_epochs(dataset: Dataset, tmp_path: Path) -> None:
    recipe = RECIPE.replace({"train.schedule": "constant", "train.epochs": 2})
    longer = tenfold.train(recipe.replace({"train.epochs": 4}), dataset, runs=tmp_path / "longer")
    run = tenfold.train(recipe, dataset, runs=tmp_path)
    before = content(run)
    assert content(tenfold.resume(run)) == before
    with pytest.raises(UsageError, match="received 1; expected 3 or more"):
        tenfold.resume(run, epochs=1)
    assert content(tenfold.resume(run, epochs=4)) == content(longer)
    assert run.recipe().train.epochs == 4


def test_train_resumes_the_newest_unfinished_run_of_the_same_recipe(
    whole: Run, dataset: Dataset, tmp_path: Path
) -> None:
    for recipe in (RECIPE, RECIPE.replace({"train.seed": 7}), RECIPE, RECIPE.replace({"train.seed": 7})):
        with pytest.raises(KeyboardInterrupt):
            tenfold.train(recipe, dataset, runs=tmp_path, watcher=After(1, 2, signalled()))
    resumed = tenfold.train(RECIPE, dataset, runs=tmp_path, resume=True)
    assert resumed.name == "small-shapes-3"
    assert content(resumed) == content(whole)
    before = resumed.status()
    assert tenfold.train(RECIPE, dataset, runs=tmp_path, resume=True).name == "small-shapes-3"
    assert resumed.status() == before
    assert tenfold.train(RECIPE, dataset, runs=tmp_path, resume=True, name="other").name == "other-1"
    assert tenfold.train(RECIPE, dataset, runs=tmp_path, resume=True, name="other").name == "other-1"
    assert [run.status()["status"] for run in Run.list(tmp_path) if run.name in ("small-shapes-2", "small-shapes-4")
            ] == ["stopped", "stopped"]


def test_a_run_is_finished_when_its_report_is_written(whole: Run, dataset: Dataset, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise OSError("as a process that ends here")

    monkeypatch.setattr(steps, "write_report", die)
    with pytest.raises(OSError, match="ends here"):
        tenfold.train(RECIPE, dataset, runs=tmp_path)
    monkeypatch.undo()
    run = Run.open(tmp_path / "small-shapes-1")
    assert run.status()["status"] == "failed"
    assert content(tenfold.resume(run)) == content(whole)
    assert "not finished" not in (run.path / "report.html").read_text(encoding="utf-8")


def test_the_second_signal_stops_immediately_and_keeps_the_earlier_checkpoint(dataset: Dataset, tmp_path: Path) -> None:
    def twice() -> None:
        signalled()()
        signalled()()

    with pytest.raises(KeyboardInterrupt):
        tenfold.train(RECIPE, dataset, runs=tmp_path, watcher=After(2, 3, twice))
    run = Run.open(tmp_path / "small-shapes-1")
    assert run.status()["status"] == "stopped"
    assert not run.has("model.keras")
    assert checkpoint.load(run, "last").position == checkpoint.Position(1)


def test_a_signal_stops_an_evaluation_immediately(whole: Run, dataset: Dataset, tmp_path: Path) -> None:
    class Leave(Watcher):
        def on(self, event: Event) -> None:
            if isinstance(event, Evaluating) and event.split == "test":
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        tenfold.train(RECIPE, dataset, runs=tmp_path, watcher=Leave())
    run = Run.open(tmp_path / "small-shapes-1")
    assert run.status()["status"] == "stopped"
    assert set(run.metrics()) == {"validation"}
    assert content(tenfold.resume(run)) == content(whole)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Run:
    """A run with two checkpoints: after the first epoch, and within the second."""
    root = tmp_path_factory.mktemp("stopped")
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(RECIPE, dataset, runs=root, watcher=After(2, 5, signalled()))
    return Run.open(root / "small-shapes-1")


@pytest.mark.parametrize("damage", ["truncate", "flip"])
@pytest.mark.parametrize("name", [checkpoint.ARRAYS, checkpoint.STATE, checkpoint.SUMS])
def test_a_damaged_checkpoint_is_detected_and_the_previous_one_used(
    damage: str, name: str, stopped: Run, tmp_path: Path
) -> None:
    newest = checkpoint._newest_first(stopped, "last")[0]
    original = (newest / name).read_bytes()
    rng = np.random.default_rng(0)
    for offset in sorted({0, len(original) - 1, *rng.integers(0, len(original), 10).tolist()}):
        changed = original[:offset] if damage == "truncate" else (
            original[:offset] + bytes([original[offset] ^ (1 << int(rng.integers(8)))]) + original[offset + 1 :])
        (newest / name).write_bytes(changed)
        listen = Listen()
        try:
            position = checkpoint.load(stopped, "last", listen).position
        finally:
            (newest / name).write_bytes(original)
        assert (position.epoch, position.step) == (1, 0)
        assert len(listen.said) == 1
        assert newest.name in listen.said[0]


def test_resuming_from_the_previous_checkpoint_gives_the_same_result(whole: Run, stopped: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(stopped.path, copy)
    run = Run.open(copy)
    newest = checkpoint._newest_first(run, "last")[0]
    (newest / checkpoint.ARRAYS).write_bytes(b"")
    assert content(tenfold.resume(run)) == content(whole)


def test_a_run_without_an_intact_checkpoint_is_refused(stopped: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(stopped.path, copy)
    for folder in (copy / "checkpoints").iterdir():
        (folder / checkpoint.SUMS).unlink()
    with pytest.raises(RunError, match=r"no intact last checkpoint \(2 found, all damaged\)"):
        tenfold.resume(Run.open(copy))
