from pathlib import Path

import pytest
from made_files import network


@pytest.fixture
def good(tmp_path: Path) -> Path:
    network().save(tmp_path / "good.keras")
    return tmp_path / "good.keras"
