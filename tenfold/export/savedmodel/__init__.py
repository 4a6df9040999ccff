"""TensorFlow in a process of its own: beside PyTorch, the two would share and disturb one process.

It runs in this Python, or in the one that TENFOLD_TENSORFLOW names, because TensorFlow needs other versions of some
packages.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tenfold import machine
from tenfold.errors import ExportError, MissingExtraError, UsageError, in_one_line
from tenfold.extras import installed

VARIABLE = "TENFOLD_TENSORFLOW"  # names a Python with TensorFlow and Keras 3
PROGRAM = Path(__file__).with_name("program.py")


def python() -> str:
    """The Python with TensorFlow. Raises MissingExtraError if there is none, UsageError for an invalid variable."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        if not Path(chosen).is_file():
            raise UsageError(f"{VARIABLE}: received {chosen}; expected the path of a Python with TensorFlow and Keras "
                             "3")
        return chosen
    if installed("tensorflow"):
        return sys.executable
    raise MissingExtraError("the format tf: the package tensorflow is not installed; install it with: pip install "
                            f"'tenfold[tf]', or name a Python that has TensorFlow and Keras 3 in {VARIABLE}")


def write(model: Path, folder: Path, outputs: Sequence[str]) -> None:
    """Write the model in a `.keras` file as a SavedModel. Raises ExportError with the last line of a failure."""
    done = subprocess.run([python(), str(PROGRAM), "write", str(model), str(folder), *outputs], env=_environment(),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise _failed(done.stderr)


class Computed:
    """Computes a SavedModel in another process, which ends together with this object."""

    def __init__(self, folder: Path) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the process)
        self._process = subprocess.Popen([python(), str(PROGRAM), "answer", str(folder)], env=_environment(),
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)
        self._stop = weakref.finalize(self, _stop, self._process, self._errors)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Output → float32 [n, columns] for uint8 [n, *shape]. Raises ExportError if TensorFlow fails."""
        given, taken = self._process.stdin, self._process.stdout
        assert given is not None
        assert taken is not None
        content = io.BytesIO()
        np.savez(content, images=images)
        try:
            given.write(len(content.getvalue()).to_bytes(8, "big") + content.getvalue())
            given.flush()
        except BrokenPipeError:
            pass  # it has ended, and the answer below is empty
        header = taken.read(8)
        if not header:
            self._errors.seek(0)
            raise _failed(self._errors.read().decode(errors="replace"))
        with np.load(io.BytesIO(taken.read(int.from_bytes(header, "big")))) as found:
            return dict(found)


def _stop(process: subprocess.Popen[bytes], errors: io.BufferedRandom) -> None:
    process.kill()
    process.communicate()
    errors.close()


def _environment() -> dict[str, str]:
    threads = str(machine.current("float32").threads)
    without = {name: value for name, value in os.environ.items() if name != "KERAS_TORCH_DEVICE"}
    return {**without, "TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": threads}


def _failed(said: str) -> ExportError:
    lines = said.strip().splitlines() or ["no message"]
    return ExportError(f"TensorFlow can't take the model: {in_one_line(lines[-1])}")
