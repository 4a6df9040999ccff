"""The same two networks in every program, and a measurement from the command to the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.programs import plain_torch, tenfold_fit
from benchmarks.throughput import compare
from tenfold.backend import keras
from tenfold.models.cnn import cnn
from tenfold.models.layers import Layers

ROOT = Path(__file__).parent.parent.parent


def fast_network(name: str) -> Any:
    layers = Layers(fast=True)
    pixels = layers.input((32, 32, 3))
    options = {k: v for k, v in tenfold_fit.MODEL["B"].items() if k != "name"}
    features = tenfold_fit.network_a(layers, pixels) if name == "A" else cnn(layers, pixels, **options)
    return keras.Model(pixels, layers.logits(10)(features))


@pytest.mark.parametrize("name", ["A", "B"])
def test_all_programs_build_the_same_network(name: str) -> None:
    from benchmarks.programs import keras_fit

    torch_network = plain_torch.network_a() if name == "A" else plain_torch.network_b()
    pixels = keras.Input((32, 32, 3))
    features = keras_fit.network_a(pixels) if name == "A" else keras_fit.network_b(pixels)
    keras_network = keras.Model(pixels, keras.layers.Dense(10)(features))
    counts = [sum(p.numel() for p in torch_network.parameters())]
    counts += [sum(variable.value.numel() for variable in network.trainable_variables)
               for network in (keras_network, fast_network(name))]
    assert len(set(counts)) == 1, counts


@pytest.mark.parametrize("network", ["A", "B"])
def test_a_small_measurement_runs_and_reports_absent_peers(network: str, tmp_path: Path) -> None:
    target = tmp_path / "throughput.json"
    command = [sys.executable, "-m", "benchmarks.throughput", "--network", network, "--smoke", "--json", str(target),
               "--peers", "pytorch-float32", "keras-tensorflow-float32", "--no-install",
               "--environments", str(tmp_path / "none")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    result = json.loads(target.read_text())
    assert result["tenfold"]["images_per_second"] > 0
    assert 0 < result["tenfold"]["data_share"]["median"] < 1
    assert result["pytorch-float32"]["tenfold_ratio"]["n"] == 1
    assert result["keras-tensorflow-float32"] == {"absent": result["keras-tensorflow-float32"]["absent"]}
    assert "tensorflow-cpu" in result["keras-tensorflow-float32"]["absent"]
    assert result["machine"]["threads"] >= 1
    assert f"--network {network}" in result["command"]


def test_tenfold_is_compared_with_each_peer_round_by_round() -> None:
    def of(*rates: float) -> list[dict[str, Any]]:
        return [{"images_per_second": rate, "peak_memory_mib": rate, "data_share": 0.02} for rate in rates]

    table = compare({"tenfold": of(300, 150, 310), "peer": of(100, 50, 155)}, {"other": "no wheel"})
    assert table["tenfold"]["images_per_second"] == 300
    assert table["peer"]["tenfold_ratio"] == {"median": 3.0, "low": 2.0, "high": 3.0, "n": 3}
    assert table["peer"]["peak_memory_mib"] == 155
    assert table["other"] == {"absent": "no wheel"}
