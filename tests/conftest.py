"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory with the real CIFAR-10 and MNIST; tests that ask for it are skipped without."""
    root = Path(os.environ.get("TENFOLD_DATA", "nowhere"))
    missing = [name for name in ("cifar10", "mnist") if not (root / name).is_dir()]
    if missing:
        pytest.skip(f"TENFOLD_DATA has no {' and no '.join(missing)}")
    return root
