"""A finished search that nothing interrupted."""

from __future__ import annotations

import pytest
from made_searches import OPTIONS, START

from tenfold.search import tune
from tenfold.search.tuning import Found


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return tune(START, runs=tmp_path_factory.mktemp("search"), **OPTIONS)
