"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from browsers import browser, chromium  # noqa: F401
from firefox import firefox  # noqa: F401

# Tests that run side by side share the cores; the engine reads these before it is imported.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    share = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    for variable in ("TENFOLD_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, str(share))

# A shell starts jobs in the background with Ctrl-C ignored; tests send it to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
