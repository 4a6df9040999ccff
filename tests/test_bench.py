"""`tenfold bench`: every installed runtime is measured, with its agreement, start-up and size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner
from watchers import Listen

import tenfold
from tenfold import bench
from tenfold.cli import app
from tenfold.errors import RunError
from tenfold.recipe import Recipe
from tenfold.registry import RUNTIMES
from tenfold.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = Recipe.from_dict({"data": {"source": "digits"}, "model": {"name": "mlp", "hidden": [16]},
                               "train": {"epochs": 1}}, name="small")
    return tenfold.train(recipe, runs=tmp_path_factory.mktemp("runs"))


def test_every_runtime_and_int8_export_is_measured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SECONDS", 0.001)
    monkeypatch.setattr(bench, "STARTS", 1)  # each takes seconds to import Keras
    shutil.copy(run.path / "exports" / "model.onnx", run.path / "exports" / "model.int8.onnx")
    command = f"bench {run.path} --batch 1 --batch 7 --rounds 2 --json"
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 0, result.output
    found = {each["runtime"]: each for each in json.loads(result.stdout)}
    assert set(found) == {*RUNTIMES.names(), "onnx int8"}
    for each in found.values():
        assert [speed["batch"] for speed in each["speeds"]] == [1, 7]
        for speed in each["speeds"]:
            assert 0 < speed["low"] <= speed["images_per_second"] <= speed["high"]
            assert 0 < speed["p50"] <= speed["p95"] <= speed["p99"]
        assert each["agreement"]["largest"] <= 1e-5
        assert each["size"] > 1000
        assert each["start_up"] > 0
    assert not list((run.path / "exports").glob("*.openvino"))
    kept = json.loads((run.path / "bench" / "index.json").read_text(encoding="utf-8"))
    assert kept["runtimes"] == json.loads(result.stdout)
    page = (run.path / "bench" / "index.html").read_text(encoding="utf-8")
    for each in found.values():
        assert f"<th>{each['runtime']}</th>" in page
        assert f"{each['speeds'][1]['images_per_second']:,.0f}" in page


def test_what_can_not_be_measured_is_told_and_left_out(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       ) -> None:
    monkeypatch.setattr(bench, "SECONDS", 0.001)
    monkeypatch.setattr(bench, "installed", lambda *modules: "openvino" not in modules)
    monkeypatch.setattr(bench, "BETWEEN", "raise SystemExit('the start-up failed')")
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    exports = copy.path / "exports"
    (exports / "model.int8.onnx").unlink(missing_ok=True)
    (exports / "model.int8.openvino").mkdir()
    (exports / "model.onnx").write_bytes(b"damaged")
    found = bench.bench(copy, (1,), 1, (listen := Listen()))
    assert {each.runtime for each in found} == {"fast", "keras"}
    assert all(each.start_up is None and each.speeds for each in found)
    assert [said.partition(":")[0] for said in listen.said] == ["openvino", "onnx", "fast", "keras"]
    assert listen.said[2].endswith("the start-up failed")


def test_a_run_without_check_images_takes_one_line(run: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(run.path, tmp_path / "run")))
    (copy.path / "check.npz").unlink()
    with pytest.raises(RunError, match=r"^[^\n]*received no check\.npz[^\n]*$"):
        bench.bench(copy)
