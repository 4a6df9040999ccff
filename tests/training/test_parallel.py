"""The run of the first of several processes is written only as long as they belong to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.errors import RunError
from tenfold.training.parallel import Leader


def test_a_process_that_was_given_up_writes_no_more(tmp_path: Path) -> None:
    meeting = tmp_path / ".meeting-1"
    meeting.touch()
    leader = Leader(tmp_path, meeting)
    leader.write("history.csv", "epoch\n1\n")
    meeting.unlink()
    for write in (lambda: leader.write("history.csv", "epoch\n1\n2\n"),
                  lambda: leader.write_directory("checkpoints/last-00001-0000000", Path.touch)):
        with pytest.raises(RunError, match="other processes have taken over this training"):
            write()
    assert (tmp_path / "history.csv").read_text() == "epoch\n1\n"
    assert not (tmp_path / "checkpoints").exists()
