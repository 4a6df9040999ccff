"""Runs: made exclusively, written whole, opened only if they are runs."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.errors import RunError, StorageError, UsageError
from tenfold.recipe import Recipe
from tenfold.run import Run, State


def test_simultaneous_starts_get_separate_directories(tmp_path: Path) -> None:
    made: list[Path] = []
    threads = [threading.Thread(target=lambda: made.append(Run.create(tmp_path, "x", Recipe.load("mlp")).path))
               for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name for path in made} == {f"x-{i}" for i in range(1, 25)}


def test_numbers_count_on_from_the_highest(tmp_path: Path) -> None:
    (tmp_path / "x-7").mkdir()
    (tmp_path / "x-y-9").mkdir()
    assert Run.create(tmp_path, "x").name == "x-8"


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", "a b"])
def test_an_invalid_directory_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is invalid"):
        Run.create(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_written_recipe_is_read_back_unchanged(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "x")
    recipe = Recipe.load("cnn3-plateau", {"train.seed": 3})
    run.write_recipe(recipe)
    assert run.recipe() == recipe
    assert Recipe.load(run.path / "recipe.toml") == recipe


def test_a_written_history_is_read_back_unchanged(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "x")
    records = [{"epoch": 1, "loss": 0.5, "custom": 3.0}, {"epoch": 2, "loss": 0.25}]
    run.write_history(records)
    assert run.history() == records


@pytest.mark.parametrize("damage", [
    lambda text: text[:-6],
    lambda text: text.replace("0.25", "0.2x"),
    lambda text: text.partition("\n")[2],
    lambda text: text.replace("\n1,", "\n7,"),
    lambda text: "",
    lambda text: text + "\0\xff",
])
def test_a_damaged_history_is_reported(tmp_path: Path, damage: Callable[[str], str]) -> None:
    run = Run.create(tmp_path, "x")
    run.write_history([{"epoch": 1, "loss": 0.5, "custom": 3.0}, {"epoch": 2, "loss": 0.25, "custom": 2.0}])
    path = run.path / "history.csv"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="latin-1")
    with pytest.raises(RunError, match=r"history\.csv: damaged"):
        run.history()


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_json_file_nested_too_deep_is_reported(opening: str, tmp_path: Path) -> None:
    run = Run.create(tmp_path, "x")
    for name, read in (("status.json", run.status), ("metrics.json", run.metrics)):
        (run.path / name).write_text(opening * 100_000, encoding="utf-8")
        with pytest.raises(RunError, match=rf"^[^\n]*{name}: damaged \(invalid JSON\)$"):
            read()


def test_a_recipe_nested_too_deep_is_reported(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "x")
    (run.path / "recipe.toml").write_text("a = " + "[" * 100_000, encoding="utf-8")
    with pytest.raises(RunError, match=r"^[^\n]*recipe\.toml: damaged \([^\n]*invalid TOML[^\n]*\)$"):
        run.recipe()


def test_a_json_file_without_a_required_key_is_reported(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "x")
    run.write_json("calibration.json", {"temperature": 1.0})
    with pytest.raises(RunError, match=r"calibration\.json: damaged \(missing before, after\)"):
        run.calibration()


def test_a_deleted_run_directory_is_not_created_again(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "x")
    run.path.rmdir()
    for write in (lambda: run.write_status(State.FAILED),
                  lambda: run.write_directory("checkpoints/a", lambda path: None)):
        with pytest.raises(StorageError, match="has vanished"):
            write()
    assert not list(tmp_path.iterdir())


def test_unfinished_files_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "x")
    run.write("predictions/test.parquet", b"whole")
    (run.path / "predictions/.123-test.parquet").write_bytes(b"half")
    (run.path / "checkpoints/.123-last-00001-0000000").mkdir(parents=True)
    (run.path / "checkpoints/.123-last-00001-0000000/arrays.npz").write_bytes(b"half")
    with run.writing():
        assert sorted(p.name for p in run.path.rglob("*") if p.is_file()) == [".lock", "test.parquet"]
        assert not list((run.path / "checkpoints").iterdir())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_dead_process_is_detected_on_a_disk_without_locks(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    run = Run.create(tmp_path, "x")
    run.write_status(State.RUNNING)
    with run.writing():
        assert run.status()["status"] == "running"
        with pytest.raises(RunError, match="another process is writing"), run.writing():
            pass
    assert run.status()["status"] == "died"
    (run.path / ".lock").touch()  # of a process that was killed
    assert run.status()["status"] == "died"
    with run.writing():
        pass
    assert not list(run.path.rglob(".*"))


@pytest.mark.parametrize("kind", ["absent", "a file", "an empty directory"])
def test_a_path_that_is_not_a_run_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "a file":
        path.write_text("")
    elif kind == "an empty directory":
        path.mkdir()
    with pytest.raises(RunError, match=r"expected (a run directory|one) made by `tenfold train`"):
        Run.open(path)


def test_the_error_for_a_missing_file_names_the_status(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "x")
    run.write_recipe(Recipe.load("mlp"))
    run.write_status(State.STOPPED)
    with pytest.raises(RunError, match=r"has no metrics.json .*'stopped'"):
        Run.open(run.path).metrics()


def test_runs_are_listed_in_natural_order(tmp_path: Path) -> None:
    for _ in range(10):
        run = Run.create(tmp_path, "x")
        run.write_recipe(Recipe.load("mlp"))
        run.write_status(State.FINISHED)
    assert [run.name for run in Run.list(tmp_path)][-2:] == ["x-9", "x-10"]


def test_a_run_has_its_first_files_from_the_start(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "x", Recipe.load("mlp"))
    assert Run.open(run.path).status()["status"] == "died"  # nobody writes it yet
    assert run.recipe() == Recipe.load("mlp")
    assert [path.name for path in tmp_path.iterdir()] == ["x-1"]


def test_a_run_that_begins_is_never_seen_without_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, writing = [], Run.writing
    monkeypatch.setattr(Run, "writing", lambda run: seen.append(Run(run.path).status().state) or writing(run))
    with Run.begin(tmp_path, "x", Recipe.load("mlp")) as run:
        seen.append(run.status().state)
        with pytest.raises(RunError, match="another process is writing"), writing(run):
            pass
    assert seen == [State.RUNNING, State.RUNNING]
    assert run.status().state is State.DIED
    assert [path.name for path in tmp_path.iterdir()] == ["x-1"]


def test_a_process_killed_while_it_creates_a_run_leaves_no_run_directory(tmp_path: Path) -> None:
    left = tmp_path / ".123-x"
    left.mkdir()
    (left / "status.json").write_text("{}")
    (left / "recipe.toml").write_text("")
    (other := tmp_path / ".123-x-y").mkdir()
    assert Run.list(tmp_path) == []
    assert Run.create(tmp_path, "x").name == "x-1"
    assert not left.exists()
    assert other.exists()  # of another name, so perhaps of a process that is at work


def test_a_run_never_reuses_an_existing_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x-1").mkdir()
    monkeypatch.setattr("tenfold.run.naming.numbers", lambda root, name: [])  # as if the other came a moment later
    assert Run.create(tmp_path, "x", Recipe.load("mlp")).name == "x-2"
    assert not list((tmp_path / "x-1").iterdir())


def test_a_run_is_named_by_its_path(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "a-run", Recipe.load("mlp"))
    assert eval(repr(run), {"Run": Run}).status() == run.status()
    with pytest.raises(UsageError, match=r"^run: received an int; expected the path of a run directory$"):
        Run(3)  # type: ignore[arg-type]


def test_a_missing_file_tells_that_the_process_died(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "a-run", Recipe.load("mlp"))
    with pytest.raises(RunError, match=r"has no metrics.json \(its status is 'died': its process died; resume it with"):
        run.metrics()
