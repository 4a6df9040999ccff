"""`make test` installs every extra but the largest, so hardly a test needs to be skipped for a missing one."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
LARGE = ("litert", "tf")  # gigabytes, for two export formats; their tests run where the tools are installed
EXTRAS = {name: requirements for name, requirements in NAMED.items() if name not in LARGE}


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_installed(extra: str) -> None:
    for requirement in EXTRAS[extra]:
        importlib.metadata.version(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])  # run `make test` if it is not


def test_make_installs_every_extra() -> None:
    planned = subprocess.run(["make", "--dry-run", "--always-make", "test"], cwd=ROOT, capture_output=True, text=True,
                             check=True).stdout
    install, = re.findall(r'pip install --quiet --editable "(.*)"', planned)
    said = subprocess.run(["sh", "-c", f'echo "{install}"'.replace(".venv/bin/python", sys.executable)], cwd=ROOT,
                          capture_output=True, text=True, check=True).stdout
    assert said.strip() == f".[{','.join(EXTRAS)}]"


def test_no_test_is_skipped_for_a_missing_extra() -> None:
    skipping = [path.name for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)
                and "importorskip" in path.read_text(encoding="utf-8")]
    assert not skipping
