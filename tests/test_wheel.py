"""The built wheel, installed alone in a clean environment, runs the demo."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
                   check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_contains_only_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"tenfold", next(top for top in tops if top.endswith(".dist-info"))}
    shipped = {str(p.relative_to(ROOT)) for p in (ROOT / "tenfold").rglob("*")
               if p.is_file() and p.suffix != ".pyc"}
    assert shipped <= set(names)


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([str(binaries / "pip"), "install", "--quiet", str(wheel)], check=True)
    result = subprocess.run([str(binaries / "tenfold"), "demo", "--runs", "out"], cwd=tmp_path, check=True,
                            capture_output=True, text=True)
    assert "demo-cnn" in result.stdout
    assert (tmp_path / "out" / "quick-digits-1" / "comparison.html").is_file()
