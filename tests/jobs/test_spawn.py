"""New processes do not run the user's script again, unless it registers something that they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WORK = """
from tenfold.registry import MODELS

def registered(watcher):
    return MODELS.registered()
"""
SCRIPT = """
from work import registered
from tenfold.jobs.executors import run_all
from tenfold.progress import SILENT

def work():
    print("begun")
    for _, outcome in run_all([registered] * 2, 2, SILENT):
        print(outcome)
"""
REGISTERING = """
from tenfold.registry import MODELS

@MODELS.add("mine")
def mine(layers, x):
    return x
"""
GUARD = 'if __name__ == "__main__":\n    work()\n'


def said(folder: Path, script: str) -> list[str]:
    (folder / "work.py").write_text(WORK, encoding="utf-8")
    (folder / "script.py").write_text(script, encoding="utf-8")
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    assert said(tmp_path, SCRIPT + "work()\n") == ["begun", "[]", "[]"]


def test_a_script_that_registers_something_is_run_again(tmp_path: Path) -> None:
    assert said(tmp_path, REGISTERING + SCRIPT + GUARD) == ["begun", "['mine']", "['mine']"]


def test_the_guard_is_named_to_a_script_that_needs_it(tmp_path: Path) -> None:
    text = "\n".join(said(tmp_path, REGISTERING + SCRIPT + "work()\n"))
    assert text.count('expected everything else in the script under `if __name__ == "__main__":`') == 2
