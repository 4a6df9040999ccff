"""Reads hostile inputs in a process of its own and tells, as a line of JSON for each, how that ended.

`python hostile_reader.py KIND FOLDER CASE…`: each case is a folder below FOLDER. Its line has the error, its text, the
seconds, the most memory held (MiB), and what Python code asked of the system: processes, sockets, files outside.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

SECONDS = 10
ASKED = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find_class")


def models(case: Path) -> None:
    from tenfold.foreign.load import load_model

    load_model(case / "hostile.keras")


def recipes(case: Path) -> None:
    from tenfold.recipe import Recipe

    Recipe.load(case / "hostile.toml")


def studies(case: Path) -> None:
    from tenfold.study import Study

    Study.load(case / "hostile.toml")


def images(case: Path) -> None:
    from tenfold.data.images import read_image

    read_image(case / "hostile.png", (28, 28, 1))


def data(case: Path) -> None:
    from tenfold.data import open_dataset

    open_dataset("cifar10" if any(case.glob("cifar*")) else "mnist", root=case)


def runs(case: Path) -> None:
    from tenfold.run import Run
    from tenfold.runtimes import open_predictor
    from tenfold.training import checkpoint

    run = Run.open(case / "run")
    for read in (run.status, run.recipe, run.environment, run.metrics, run.times_scored, run.history, run.predictions,
                 run.calibration, run.decisions, run.corruptions, run.speed, lambda: checkpoint.load(run, "last"),
                 lambda: open_predictor(run)):
        read()


def peak() -> int:
    """The most memory held since the last `forget`, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) >> 10


def forget() -> None:
    """Begin the peak anew, where the system allows that."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    kind, folder, *cases = sys.argv[1:]
    read: Callable[[Path], None] = globals()[kind]
    heard: list[str] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ASKED or (event == "open" and "secret" in str(arguments[0])):
            heard.append(f"{event} {arguments}"[:200])

    def late(*_: object) -> None:
        raise TimeoutError(f"not done after {SECONDS} s")

    with suppress(Exception):
        read(Path(folder) / "warm")  # imports what an honest input needs
    sys.addaudithook(hear)
    signal.signal(signal.SIGALRM, late)
    for case in cases:
        heard.clear()
        forget()
        started, error = time.monotonic(), None
        signal.alarm(SECONDS)
        try:
            read(Path(folder) / case)
        except BaseException as caught:
            error = caught
        signal.alarm(0)
        kinds = [each.__name__ for each in type(error).__mro__]
        print(json.dumps({"case": case, "kinds": kinds, "text": str(error), "mebibytes": peak(), "asked": list(heard),
                          "seconds": time.monotonic() - started}), flush=True)


if __name__ == "__main__":
    main()
