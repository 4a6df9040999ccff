"""What predictions look like in a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.prediction import Prediction
from tenfold.terminal.results import print_predictions


def test_class_names_of_others_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("\x1b[31mred", "\x1b]0;title\x07")
    print_predictions([Prediction(Path("a.png"), names[0], dict(zip(names, (0.75, 0.25), strict=True)), set=names,
                                  decision="unsure")])
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert not {"\x1b", "\x07"} & set(printed)
    assert printed.count("?[31mred") == 2
