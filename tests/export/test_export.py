"""`export`: where the file goes, what refuses, and that nothing is left after an error."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from watchers import Listen

from tenfold import jobs
from tenfold.cli import app
from tenfold.decisions.temperature import at_temperature
from tenfold.errors import ExportError, MissingExtraError, RunError, StorageError, UnknownNameError, UsageError
from tenfold.export import check_images
from tenfold.export.source import Source
from tenfold.jobs.exporting import keep_onnx
from tenfold.prediction import predict
from tenfold.registry import FORMATS
from tenfold.run import Run
from tenfold.runtimes import open_export, open_predictor


@pytest.fixture
def run(runs: dict[str, Run], tmp_path: Path) -> Run:
    """A copy of the CNN's run that a test may change."""
    return Run(Path(shutil.copytree(runs["cnn"].path, tmp_path / "cnn-1")))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {".lock"}


def test_a_finished_run_keeps_check_images_and_a_checked_onnx_model(run: Run) -> None:
    kept = check_images.read(run)
    assert kept.split == "validation"
    assert len(kept.images) == len(kept.labels) == 12
    exported = open_export(run.path / "exports" / "model.onnx")
    np.testing.assert_allclose(exported.predict(kept.images), open_predictor(run, "keras").predict(kept.images),
                               atol=1e-5)


def test_a_prediction_with_the_kept_model_imports_neither_keras_nor_pytorch(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.jpg")
    code = ("import sys; from tenfold.cli import app; app(sys.argv[1:], standalone_mode=False); "
            "print(sorted({'keras', 'torch', 'scipy', 'sklearn', 'matplotlib', 'onnxruntime'} & set(sys.modules)))")
    for model in (run.path, run.path / "exports" / "model.onnx"):
        done = subprocess.run([sys.executable, "-c", code, "predict", model, tmp_path / "red.jpg", "--json"],
                              capture_output=True, text=True, check=True)
        answer, _, modules = done.stdout.strip().rpartition("\n")
        assert modules == "['onnxruntime']"
        expected = predict(run, [tmp_path / "red.jpg"], runtime="keras")[0].to_dict()
        given = json.loads(answer)[0]
        assert given.pop("set") == expected.pop("set")
        assert given == pytest.approx(expected, abs=1e-5)


def test_the_export_goes_where_it_is_told(run: Run, tmp_path: Path) -> None:
    assert jobs.export(run, "keras").path == run.path / "exports" / "model.keras"
    assert jobs.export(run, "onnx", tmp_path / "mine.onnx").path == tmp_path / "mine.onnx"
    assert jobs.export(run, "openvino", tmp_path).path == tmp_path / "model.openvino"
    assert jobs.export(run, "openvino", tmp_path / "model.openvino").path == tmp_path / "model.openvino"
    assert (tmp_path / "cnn-1").is_dir()
    with pytest.raises(UsageError, match=r"out: received .*model\.bin; expected a file whose name ends in \.onnx"):
        jobs.export(run, "onnx", tmp_path / "model.bin")


def test_a_folder_of_something_else_is_not_replaced(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine.openvino"
    mine.mkdir()
    (mine / "notes.txt").write_text("a year of work")
    with pytest.raises(UsageError, match=r"mine\.openvino, a folder with other files.*expected a new name"):
        jobs.export(run, "openvino", mine)
    assert files(mine) == {"notes.txt"}
    (mine / "notes.txt").unlink()
    for _ in range(2):  # an empty folder, then an earlier export
        assert files(jobs.export(run, "openvino", mine).path) == {"model.xml", "model.bin"}


def test_calibrated_probabilities_follow_the_temperature_of_the_run(run: Run) -> None:
    jobs.export(run, "keras")
    jobs.evaluate(run, calibrate=True)
    assert files(run.path / "exports") == {"model.onnx", "model.onnx.json"}
    temperature, images = run.calibration()["temperature"], check_images.read(run).images
    assert temperature != 1
    exported = open_export(run.path / "exports" / "model.onnx")
    assert exported.facts["temperature"] == temperature
    np.testing.assert_allclose(exported.output("calibrated", images),
                               at_temperature(exported.predict(images), temperature), atol=1e-5)


def test_a_run_without_check_images_needs_its_data_set(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.path / "check.npz").unlink()
    assert jobs.export(run, "keras").agreement.images == 12
    (run.path / "check.npz").write_bytes(b"PK no arrays")
    with pytest.raises(RunError, match=r"check\.npz: is damaged"):
        jobs.export(run, "keras")


@pytest.mark.parametrize("format", [name for name in FORMATS.names() if name not in ("litert", "tf")])  # they are slow
def test_a_disagreeing_export_is_an_error_and_leaves_nothing(
    format: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = FORMATS.get(format)

    def wrong(path: Path) -> object:
        answer = known.read(path)
        return lambda images: {name: values + np.float32(3e-5) for name, values in answer(images).items()}

    monkeypatch.setitem(FORMATS._entries, format, dataclasses.replace(known, read=wrong))
    before = files(run.path)
    with pytest.raises(ExportError, match=r"differs from model\.keras by 3\.\de-05 in probabilities, in batches of 1"):
        jobs.export(run, format)
    assert files(run.path) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("place", ["write", "read"])
def test_a_signal_ends_an_export_with_one_line_and_leaves_nothing(
    place: str, number: signal.Signals, code: int, run: Run, monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = FORMATS.get("openvino")

    def interrupted(*arguments: object) -> object:
        made = getattr(known, place)(*arguments)
        os.kill(os.getpid(), number)
        return made

    monkeypatch.setitem(FORMATS._entries, "openvino", dataclasses.replace(known, **{place: interrupted}))
    before = files(run.path)
    ended = CliRunner().invoke(app, ["export", str(run.path), "openvino"])
    assert ended.exit_code == code
    assert ended.stderr.splitlines()[-1] == f"tenfold: {'interrupted' if code == 130 else 'terminated'}"
    assert ended.stdout == ""
    assert files(run.path) == before


@pytest.mark.parametrize("format", ["keras", "openvino"])
def test_a_model_whose_facts_can_not_be_written_is_removed(
    format: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "ship").mkdir()

    def interrupted(path: Path) -> None:
        assert path.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr("tenfold.export.measured", interrupted)
    with pytest.raises(KeyboardInterrupt):
        jobs.export(run, format, tmp_path / "ship")
    assert not list((tmp_path / "ship").iterdir())


def test_a_stopped_run_says_which_epoch_its_export_takes(run: Run) -> None:
    run.write_json("status.json", {"status": "stopped", "reason": "interrupted"})
    done = CliRunner().invoke(app, ["export", str(run.path), "keras"])
    said = "The training of cnn-1 is not finished (its status is stopped); this is the model of epoch 1."
    assert said in done.stderr.splitlines()
    assert Source.of(run).caution == said


def test_what_can_not_be_exported_takes_one_line(run: Run, tmp_path: Path) -> None:
    before = files(run.path)
    with pytest.raises(UnknownNameError, match="unknown export format 'onyx'; did you mean 'onnx'"):
        jobs.export(run, "onyx")
    status = (run.path / "status.json").read_text()
    run.write_json("status.json", {"status": "diverged", "reason": "the loss became NaN"})
    with pytest.raises(RunError, match="the training diverged"):
        jobs.export(run, "onnx")
    (run.path / "status.json").write_text(status)
    (run.path / "model.keras").rename(tmp_path / "away")
    with pytest.raises(RunError, match=r"the run has no model\.keras"):
        jobs.export(run, "onnx")
    (tmp_path / "away").rename(run.path / "model.keras")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="can't write"):
        jobs.export(run, "onnx", tmp_path / "file" / "model.onnx")
    assert files(run.path) == before


def test_a_missing_extra_is_named_with_its_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = jobs.export(run, "openvino").path
    before = files(run.path)
    monkeypatch.setitem(sys.modules, "openvino", None)
    for attempt in (lambda: jobs.export(run, "openvino"), lambda: open_predictor(run, "openvino"),
                    lambda: open_export(made)):
        with pytest.raises(MissingExtraError, match=r"openvino is not installed; install it with: .*tenfold\[export\]"):
            attempt()
    assert files(run.path) == before


def test_nothing_is_downloaded_for_another_format_or_without_a_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tenfold.export.page.runtime.fetch", lambda *_: pytest.fail("downloaded"))
    done = [CliRunner().invoke(app, ["export", str(path), format, "--fetch"]).exit_code
            for path, format in ((tmp_path / "nothing", "html"), (run.path, "keras"))]
    assert done == [2, 0]


def test_without_tensorflow_the_command_names_its_extra(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = files(run.path)
    monkeypatch.delenv("TENFOLD_TENSORFLOW", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingExtraError, match=r"^the format tf: [^\n]*pip install 'tenfold\[tf\]', or name a Python"):
        jobs.export(run, "tf")
    monkeypatch.setenv("TENFOLD_TENSORFLOW", "/nowhere/python")
    with pytest.raises(UsageError, match="TENFOLD_TENSORFLOW: received /nowhere/python; expected"):
        jobs.export(run, "tf")
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho 'Traceback' >&2; echo 'ImportError: too old' >&2; exit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("TENFOLD_TENSORFLOW", str(failing))
    with pytest.raises(ExportError, match="TensorFlow can't take the model: ImportError: too old"):
        jobs.export(run, "tf")
    assert files(run.path) == before


def test_a_model_that_can_not_be_exported_is_no_reason_to_fail(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise TypeError("an unforeseen layer\nin line 7")

    monkeypatch.setitem(FORMATS._entries, "onnx", dataclasses.replace(FORMATS.get("onnx"), write=fails))
    listen, before = Listen(), files(run.path)
    keep_onnx(run, check_images.read(run), listen)
    assert listen.said == ["no ONNX model is kept: an unforeseen layer"]
    assert files(run.path) == before


def test_an_unknown_layer_is_named(run: Run) -> None:
    import keras

    from tenfold.export import onnxgraph

    inputs = x = keras.Input((8, 8, 1), name="pixels")
    x = keras.layers.Conv2DTranspose(4, 3, name="enlarge")(x)
    x = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x))
    with pytest.raises(UsageError, match=r"layer 'enlarge': received layers of kind Conv2DTranspose.*example torch$"):
        onnxgraph.build(model, 1.0, {})


def test_hostile_class_names_stay_text(run: Run, tmp_path: Path) -> None:
    from tenfold import modelfile

    names = ['</script><img src=x onerror=alert(1)>', "{{7*7}}", 'a "quoted"\nname']
    facts = modelfile.facts(run.path / "model.keras")
    facts["classes"][:3] = names
    modelfile.save(run.model(), run.path / "model.keras", facts)
    for format in ("onnx", "openvino", "torch", "keras", "h5"):
        made = jobs.export(run, format, tmp_path)
        assert json.loads(made.facts.read_text())["tenfold"]["classes"][:3] == names
    for suffix in ("onnx", "openvino"):
        assert list(open_export(tmp_path / f"model.{suffix}").classes[:3]) == names
