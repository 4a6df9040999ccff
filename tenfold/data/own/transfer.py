"""Reports the downloads of the Hugging Face Hub's client, which knows only tqdm's bars, to a watcher."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

from tenfold.progress import Watcher

if TYPE_CHECKING:
    from tqdm.std import tqdm


def transfer_bar(watcher: Watcher) -> type[tqdm]:
    """A class of bars that show nothing and report the received bytes of all files together."""
    from tqdm.std import tqdm

    lock = threading.Lock()  # files are downloaded in several threads
    most = 0

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal most
            shown = super().update(n)
            with lock:
                if self.unit == "B" and self.n > most:  # the client counts received and written bytes in two bars
                    most = int(self.n)
                    watcher.advance("download", most, int(self.total) if self.total else None, "bytes")
            return shown

    return Bar
