"""Damaged checkpoints."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from drill import Tally
from drill.training import Ground, goes_on
from tenfold.errors import TenfoldError
from tenfold.progress import Event, Notice, Watcher
from tenfold.run import Run, State
from tenfold.training import checkpoint

FILES = (checkpoint.ARRAYS, checkpoint.STATE, checkpoint.SUMS)


def newest_checkpoint(ground: Ground, count: int) -> Tally:
    """Damage the newest checkpoint `count` times: truncated in the even tries, one bit flipped in the odd."""
    whole, draw, tally, place = ground.whole, random.Random(4), Tally(), ground.place("damage")
    run = Run(Path(shutil.copytree(whole.run.path, place / "runs" / whole.run.name)))
    newest, before = sorted((run.path / "checkpoints").glob("last-*"), reverse=True)
    for i in range(count):
        file = newest / FILES[i // 2 % len(FILES)]
        original = file.read_bytes()
        offset, bit = draw.randrange(len(original)), draw.randrange(8)
        flipped = original[:offset] + bytes([original[offset] ^ 1 << bit]) + original[offset + 1:]
        file.write_bytes(flipped if i % 2 else original[:offset])
        what = f"{file.name} {'with one bit flipped' if i % 2 else 'cut off'} at {offset}"
        tally.add(what, _noticed(run, newest, before))
        if i == count - 1:
            run.write_status(State.FAILED, "for the drill")
            tally.add(f"resumed with {what}", goes_on(place, whole.content))
        else:
            file.write_bytes(original)
    tally.facts.append("the last try is also resumed, bit for bit")
    return tally


class _Notices(Watcher):
    """Remembers the text of every notice."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def on(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.said.append(event.text)


def _noticed(run: Run, newest: Path, before: Path) -> str | None:
    notices = _Notices()
    try:
        position = checkpoint.load(run, "last", notices).position
    except TenfoldError as error:
        return str(error)
    if not notices.said or newest.name not in notices.said[0]:
        return "the damage was not detected"
    return None if before.name.startswith(f"last-{position.epoch:05d}") else f"epoch {position.epoch} was used"
