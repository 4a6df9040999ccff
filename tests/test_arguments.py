"""Wrong types of arguments: each is one line, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tenfold
from tenfold.errors import TenfoldError

X, Y = np.zeros((20, 8, 8), np.uint8), [0, 1] * 10
LOADER = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(4, 8, 8), torch.zeros(4)))
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a loader": (lambda: tenfold.train("mlp", LOADER), "a DataLoader; expected its data set: pass loader.dataset"),
    "overrides in a list": (lambda: tenfold.train("mlp", (X, Y), overrides=["train.epochs=1"]),  # type: ignore[arg-type]
                            "overrides: received a list; expected a dictionary"),
    "numbers as keys": (lambda: tenfold.Recipe.load("mlp", {5: 1}),  # type: ignore[dict-item]
                        "expected a dictionary of values by key"),
    "no runs": (lambda: tenfold.train("mlp", (X, Y), runs=None),  # type: ignore[arg-type]
                "runs: received None; expected a path"),
    "a number as name": (lambda: tenfold.train("mlp", (X, Y), name=5), "run name 5 is invalid"),  # type: ignore[arg-type]
    "a word as seeds": (lambda: tenfold.seeds("mlp", "3"), "count: received '3'; expected a whole"),  # type: ignore[arg-type]
    "no seeds": (lambda: tenfold.seeds("mlp", 0), "count: received 0; expected at least 1"),
    "a number to compare": (lambda: tenfold.compare(5), "runs: received an int; expected Runs"),  # type: ignore[arg-type]
    "a word as trials": (lambda: tenfold.tune("mlp", (X, Y), trials="3"),  # type: ignore[arg-type]
                         "trials: received '3'; expected a whole number of at least 1"),
    "a number as study": (lambda: tenfold.conduct(5), "study: received 5; expected a path"),  # type: ignore[arg-type]
    "a number as data set": (lambda: tenfold.open_dataset(5), "data set: received an int"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_type_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, words = WRONG[name]
    with pytest.raises(TenfoldError) as caught:
        call()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
