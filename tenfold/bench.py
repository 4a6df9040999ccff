"""Speed, start-up, memory, size and agreement of a run's model in every runtime that is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import machine
from tenfold.counted import counted
from tenfold.errors import RunError, TenfoldError, first_line
from tenfold.export import check_images, check_run, export_source, measured, target
from tenfold.export.parity import Agreement, agreement
from tenfold.export.source import Source
from tenfold.extras import installed
from tenfold.progress import SILENT, Watcher
from tenfold.registry import FORMATS, RUNTIMES
from tenfold.report.bench import page
from tenfold.run import Run
from tenfold.run.exports import FOLDER, is_export
from tenfold.runtimes import Predictor, open_export, open_predictor

DIRECTORY = "bench"
BATCHES = (1, 8, 64, 512)
ROUNDS = 5
SECONDS = 0.2  # that one runtime computes one batch size in a round, at least one batch
NEEDS = {"onnx": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}  # runtime → its modules
STARTS = 3  # processes, at most one a round, of which the median start-up counts


@dataclass(frozen=True)
class Speed:
    """The speed at one batch size: images per second (median, lowest and highest round), latencies in ms."""

    batch: int
    images_per_second: float
    low: float
    high: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Measured:
    """One runtime. start_up: seconds of `tenfold predict` for one image; memory: its peak in MiB; size: bytes.

    Start-up and memory are None if they were not measured; memory also where the system does not tell it.
    """

    runtime: str
    start_up: float | None
    memory: float | None
    size: int
    agreement: Agreement
    speeds: tuple[Speed, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Candidate:
    """A model to measure: its name, how to open it, its arguments for `tenfold predict`, and its file or folder."""

    name: str
    open: Callable[[], Predictor]
    arguments: tuple[str, ...]
    path: Path


def bench(run: Run, batches: Sequence[int] = BATCHES, rounds: int = ROUNDS, watcher: Watcher = SILENT, *,
          start_up: bool = True) -> list[Measured]:
    """Measure a run's model in every installed runtime, and its int8 exports: the runtimes take turns in each round.

    The images are the run's check images. ONNX and OpenVINO models that the run lacks are exported into a temporary
    folder. Without `start_up`, no process is started. Raises RunError if the run has no model or no check images.
    """
    check_run(run)
    kept = check_images.read(run)
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as folder:
        predictors, candidates = _opened(_candidates(run, Path(folder), kept, watcher), watcher)
        expected = open_predictor(run, "keras").predict(kept.images)
        found = {name: agreement(expected, predictor.predict(kept.images), kept.labels)
                 for name, predictor in predictors.items()}
        durations = _rounds(predictors, kept.images, batches, rounds, watcher)
        count = min(rounds, STARTS) if start_up else 0
        starts = {each.name: _start_up(each, kept.images[0], Path(folder), count, watcher) for each in candidates}
        return [Measured(each.name, *starts[each.name], measured(each.path)[0], found[each.name],
                         tuple(_speed(batch, durations[each.name, batch]) for batch in batches)) for each in candidates]


def write_page(run: Run, found: Sequence[Measured]) -> Path:
    """Write what was measured into the run, as `bench/index.html` and `bench/index.json`: the path of the page.

    What was there is replaced. Raises StorageError.
    """
    settings, facts = machine.current("float32"), [each.to_dict() for each in found]
    where = {**machine.facts(), "threads": settings.threads, "date": time.strftime("%Y-%m-%d")}
    about = f"{where['processor']}, {counted(settings.threads, 'thread')}, {where['system']}; {where['date']}"
    content = page(run.name, about, facts)

    def fill(folder: Path) -> None:
        text = json.dumps({"run": run.name, "machine": where, "runtimes": facts}, indent=2, ensure_ascii=False)
        (folder / "index.json").write_text(text + "\n", encoding="utf-8", errors="replace")
        (folder / "index.html").write_text(content, encoding="utf-8", errors="replace")

    with run.writing():
        return run.write_directory(DIRECTORY, fill) / "index.html"


def _candidates(run: Run, folder: Path, kept: check_images.CheckImages, watcher: Watcher) -> list[_Candidate]:
    """What can be measured here: all installed runtimes, then the run's int8 exports."""
    found = []
    for name in RUNTIMES.names():
        if not installed(*NEEDS.get(name, ())):
            watcher.notice(f"{name}: not installed (pip install 'tenfold[export]')")
            continue
        if name not in NEEDS:
            found.append(_Candidate(name, lambda name=name: open_predictor(run, name),  # type: ignore[misc]
                                    (str(run.path), "--runtime", name), run.path / "model.keras"))
            continue
        path = target(run, FORMATS.get(name), None)
        if not path.exists():
            try:
                path = export_source(Source.of(run), FORMATS.get(name), folder / path.name, kept).path
            except TenfoldError as error:
                watcher.notice(f"{name}: {error}")
                continue
        found.append(_exported(name, path))
    narrow = sorted(path for path in (run.path / FOLDER).glob("*.int8.*") if is_export(path))
    return [*found, *(_exported(f"{path.suffix[1:]} int8", path) for path in narrow if installed(
        *NEEDS[path.suffix[1:]]))]


def _opened(candidates: list[_Candidate], watcher: Watcher) -> tuple[dict[str, Predictor], list[_Candidate]]:
    """The predictors by name, and the candidates that they are of; the watcher is told of one that can't be opened."""
    found = {}
    for each in candidates:
        try:
            found[each.name] = each.open()
        except TenfoldError as error:
            watcher.notice(f"{each.name}: {error}")
    return found, [each for each in candidates if each.name in found]


def _exported(name: str, path: Path) -> _Candidate:
    return _Candidate(name, lambda: open_export(path), (str(path),), path)


def _rounds(predictors: dict[str, Predictor], images: np.ndarray, batches: Sequence[int], rounds: int,
            watcher: Watcher) -> dict[tuple[str, int], list[list[float]]]:
    """(runtime, batch size) → for each round, the seconds of each batch. The first round only warms up."""
    found: dict[tuple[str, int], list[list[float]]] = {}
    for number in range(rounds + 1):
        watcher.advance("bench", number, rounds + 1, "rounds")
        for batch in batches:
            pixels = images[np.resize(np.arange(len(images)), batch)]
            for name, predictor in predictors.items():
                taken = _timed(predictor, pixels, SECONDS if number else 0)
                if number:
                    found.setdefault((name, batch), []).append(taken)
    watcher.advance("bench", rounds + 1, rounds + 1, "rounds")
    return found


def _timed(predictor: Predictor, pixels: np.ndarray, seconds: float) -> list[float]:
    """The seconds of each call, for at least `seconds` and one call."""
    taken: list[float] = []
    while not taken or sum(taken) < seconds:
        started = time.perf_counter()
        predictor.predict(pixels, len(pixels))
        taken.append(time.perf_counter() - started)
    return taken


def _speed(batch: int, rounds: list[list[float]]) -> Speed:
    speeds = [batch * len(taken) / sum(taken) for taken in rounds]
    p50, p95, p99 = (1000 * float(q) for q in np.quantile(np.concatenate(rounds), [0.5, 0.95, 0.99]))
    return Speed(batch, float(np.median(speeds)), min(speeds), max(speeds), p50, p95, p99)


def _start_up(candidate: _Candidate, image: np.ndarray, folder: Path, count: int, watcher: Watcher,
              ) -> tuple[float | None, float | None]:
    """(median seconds, peak memory in MiB) of `count` processes of `tenfold predict` for one image.

    None if a process fails, of which the watcher is told.
    """
    from PIL import Image

    if not count:
        return None, None
    photo = folder / "photo.png"
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(photo)
    model, *options = candidate.arguments
    command = [sys.executable, "-m", "tenfold", "predict", model, str(photo), *options]
    try:
        runs = [_process(command) for _ in range(count)]
    except RunError as error:
        watcher.notice(f"{candidate.name}: {error}")
        return None, None
    memory = [peak for _, peak in runs if peak is not None]
    return float(np.median([seconds for seconds, _ in runs])), max(memory) if memory else None


# A process begins with the peak memory of the one that starts it, so a small one is put between.
BETWEEN = """
import json, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - started
try:
    import resource
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
except ImportError:  # on Windows
    peak = None
print(json.dumps([seconds, peak]))
sys.exit(code != 0)
"""


def _process(command: list[str]) -> tuple[float, float | None]:
    """(seconds, peak memory in MiB) of a process. Raises RunError with its last line if it fails."""
    done = subprocess.run([sys.executable, "-c", BETWEEN, *command], capture_output=True, text=True, errors="replace",
                          env={**os.environ, "TENFOLD_THREADS": str(machine.current("float32").threads)})
    if done.returncode:
        line = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"{' '.join(command[2:])} failed: {first_line(RuntimeError(line))}")
    seconds, peak = json.loads(done.stdout)
    return seconds, None if peak is None else peak / (2**20 if sys.platform == "darwin" else 2**10)
