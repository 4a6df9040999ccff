"""Models become text that HTML keeps as it is, and come back bit by bit."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from tenfold.export.page.packing import bytes_of, pack_model, text_of, unpack_model


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 7, 8, 13, 4097])
def test_bytes_come_back(count: int) -> None:
    content = np.random.default_rng(count).integers(0, 256, count, np.uint8).tobytes()
    assert bytes_of(text_of(content)) == content
    assert unpack_model(pack_model(content)) == content


def test_no_character_ends_a_script_or_is_changed_by_html() -> None:
    text = text_of(np.random.default_rng(0).integers(0, 256, 10_000, np.uint8).tobytes())
    assert not set(text) & set("\0\r<")
    assert {ord(each) & 127 for each in text} == set(range(128))
    assert len(text.encode()) / 10_000 == pytest.approx(8 / 7 * (1 + 3 / 128), rel=0.005)


def test_weights_take_less_room_than_in_gzip_alone() -> None:
    weights = np.random.default_rng(0).normal(0, 0.05, 20_000).astype(np.float32).tobytes()
    assert len(bytes_of(pack_model(weights))) < 0.9 * len(weights) < len(gzip.compress(weights))


def test_damage_is_found() -> None:
    text = pack_model(bytes(range(256)) * 100)
    with pytest.raises(EOFError):
        unpack_model(text[: len(text) // 2])
