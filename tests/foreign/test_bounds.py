"""What is no model file at all, and networks that the bounds for hostile ones leave alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_models import nested

from tenfold.backend import keras
from tenfold.errors import ModelFileError
from tenfold.foreign import calls, graph
from tenfold.foreign.load import load_model


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink(path, path)],
                         ids=["a pipe", "a folder", "a link to itself"])
def test_a_path_that_is_not_a_regular_file_is_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "hostile.keras")
    with pytest.raises(ModelFileError, match=r"^[^\n]*hostile.keras: (is not a regular file|can't be read)[^\n]*$"):
        load_model(tmp_path / "hostile.keras")


def test_an_invalid_path_is_refused() -> None:
    with pytest.raises(ModelFileError, match=r"^'a\\x00.keras': is not a valid path$"):
        load_model("a\0.keras")


def test_nested_models_load_within_the_limits(tmp_path: Path) -> None:
    assert calls.count(nested(2, 3)) == 1 + 3 * (1 + 1 + 3)
    inputs = keras.Input((16, 16, 3))
    inner = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.ReLU()])
    keras.Model(inputs, inner(inner(inputs))).save(tmp_path / "nested.keras")
    assert len(load_model(tmp_path / "nested.keras").layers) == 2


def test_real_networks_are_far_below_the_limits() -> None:
    """The largest of `keras.applications` that PyTorch runs."""
    from tenfold.models import backbone

    network = backbone.sketch("EfficientNetV2L", "none")
    assert calls.count(json.loads(network.to_json())) * 10 < graph.MAX_CALLS
    assert len(network.layers) * 3 < graph.MAX_LAYERS
    assert len(network.to_json()) * 4 < graph.MAX_BYTES
