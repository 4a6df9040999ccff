"""A second process makes the same report, and whatever happens to it, the report is made."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest
from made_runs import DIGITS, decided, digits, material, run_of

from tenfold.progress import SILENT
from tenfold.registry import PLOTS
from tenfold.report import report
from tenfold.report.apart import Apart, Request, second_process
from tenfold.report.drawing import Drawing
from tenfold.report.files import files


@pytest.fixture(scope="module")
def made():
    return decided(material(*digits(), DIGITS))


@pytest.fixture
def run(made, tmp_path):
    return run_of(tmp_path, made)


@pytest.fixture
def apart():
    second = Apart()
    yield second
    second.close()


def process_of(apart: Apart) -> subprocess.Popen:
    return apart._process


def test_a_second_process_makes_the_same_files(made, run, apart):
    apart.prepare(dataclasses.replace(made, explained=(), test=None, decisions={}))
    status = run.status()
    assert apart.files(run, made, status) == files(run, made, status)
    assert process_of(apart).poll() is None


def test_a_report_that_a_second_process_made_is_written(made, run, apart):
    here = files(run, made, run.status())
    page = report(run, made, apart=apart)
    assert page.read_text(encoding="utf-8") == here["report.html"]
    assert {f"plots/{path.name}": path.read_bytes() for path in run.path.glob("plots/*")} == {
        name: content for name, content in here.items() if name.startswith("plots/")}


@pytest.mark.parametrize("prepared", [False, True])
def test_a_report_is_made_here_if_the_second_process_died(made, run, apart, prepared):
    if prepared:
        apart.prepare(made)
    process_of(apart).kill()
    assert apart.files(run, made, run.status()) is None
    assert report(run, made, apart=apart).read_text(encoding="utf-8") == files(run, made, run.status())["report.html"]


def test_what_is_wrong_is_told_here(made, run, apart):
    (run.path / "recipe.toml").write_text("damaged")
    assert apart.files(run, made, run.status()) is None


def test_images_that_cannot_be_read_are_told_here(made, run, apart):
    class Unreadable:
        shape, dtype = made.test[0].shape, made.test[0].dtype

        def __getitem__(self, rows):
            raise OSError("the disk is gone")

    unreadable = dataclasses.replace(made, test=(Unreadable(), *made.test[1:]))
    with pytest.raises(OSError, match="the disk is gone"):
        report(run, unreadable, apart=apart)
    assert not (run.path / "report.html").exists()


def test_plots_of_this_process_alone_are_drawn_here(made, run, apart, monkeypatch):
    monkeypatch.setattr(PLOTS, "_entries", {"mine": None, **PLOTS._entries})
    assert apart.files(run, made, run.status()) is None


def test_a_plot_is_drawn_again_only_if_a_part_that_it_reads_has_changed(made):
    asked = []

    def ask(part, rows):
        asked.append(part)
        return getattr(made, part)[0][rows]

    drawing, drawn = Drawing(ask, SILENT), []
    draw = drawing._drawn
    drawing._drawn = lambda name, *more: drawn.append((name, draw(name, *more)))
    for each in (made, dataclasses.replace(made, history=made.history[:2], best_epoch=2)):
        assert drawing.answer(Request.of(each, None)) is None
    first, second = dict(drawn[: len(drawn) // 2]), dict(drawn[len(drawn) // 2 :])
    changed = {name for name, content in first.items() if content is not second[name]}
    assert changed == {"loss", "accuracy"}
    assert set(asked) == {"samples", "validation", "test"}


def test_a_second_process_ends_with_the_block(monkeypatch):
    monkeypatch.setattr("tenfold.machine.cores", lambda: 2)
    monkeypatch.setenv("TENFOLD_THREADS", "2")
    with second_process() as apart:
        process = process_of(apart)
    assert process.poll() == -signal.SIGKILL


def test_one_thread_gets_no_second_process(monkeypatch):
    monkeypatch.setenv("TENFOLD_THREADS", "1")
    with second_process() as apart:
        assert apart is None


def test_a_second_process_ends_when_the_first_is_killed():
    program = "import os; from tenfold.report.apart import Apart; print(Apart()._process.pid, flush=True); os._exit(1)"
    pid = int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stdout)
    deadline = time.monotonic() + 60
    while _lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_training_imports_neither_the_libraries_for_plots_nor_those_for_pages():
    program = "import sys, tenfold.jobs, tenfold.report; print(*{'matplotlib', 'jinja2', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


def test_the_second_process_imports_no_engine():
    program = "import sys, tenfold.report.drawing; print(*{'torch', 'keras', 'sklearn'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"

