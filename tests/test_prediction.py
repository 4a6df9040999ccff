"""Prediction: image files of any kind in, an answer for each, in order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tenfold import jobs, modelfile
from tenfold.cli import app
from tenfold.data.images import read_image
from tenfold.decisions.temperature import at_temperature
from tenfold.errors import ModelFileError, RunError, UsageError
from tenfold.jobs.own_data import open_data
from tenfold.prediction import Classifier, Prediction, cautions, predict
from tenfold.recipe import Recipe
from tenfold.run import Run, State
from tenfold.runtimes import open_predictor

ROTATED = 6  # EXIF: the camera was turned, the picture has to be turned to the right


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small perceptron, trained for moments on the handwritten digits."""
    recipe = Recipe.load("mlp", {"train.epochs": 2, "train.precision": "float32"})
    return jobs.train(recipe, "digits", runs=tmp_path_factory.mktemp("runs"))


def _pixels(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def _exif(path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = ROTATED
    Image.fromarray(_pixels(20, 40)).save(path, exif=exif)


MAKERS: dict[str, Callable[[Path], None]] = {
    **{f"{mode}.png": lambda path, mode=mode: Image.fromarray(_pixels(40, 30)).convert(mode).save(path)  # type: ignore[misc]
       for mode in ("RGB", "RGBA", "L", "LA", "1", "P")},
    "P-transparent.png": lambda path: Image.fromarray(_pixels(9, 9)).convert("P").save(path, transparency=0),
    "I16.png": lambda path: Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 160).save(path),
    "I.tif": lambda path: Image.fromarray(np.arange(64, dtype=np.int32).reshape(8, 8)).save(path),
    "F.tif": lambda path: Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(path),
    "CMYK.jpg": lambda path: Image.fromarray(_pixels(40, 30)).convert("CMYK").save(path),
    "rotated.jpg": _exif,
    "dot.png": lambda path: Image.new("RGB", (1, 1), "red").save(path),
    "strip.png": lambda path: Image.new("RGB", (3000, 2), "red").save(path),
}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"])
def test_a_signal_ends_a_prediction_with_one_line(
    number: signal.Signals, code: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.setattr("tenfold.prediction._Answering.answers", lambda *_: os.kill(os.getpid(), number))
    handler = signal.getsignal(number)
    ended = CliRunner().invoke(app, ["predict", str(run.path), str(tmp_path)])
    assert ended.exit_code == code
    assert ended.stderr == f"tenfold: {'interrupted' if code == 130 else 'terminated'}\n"
    assert ended.stdout == ""
    assert signal.getsignal(number) is handler


def test_a_wrong_path_is_told_before_numpy_is_imported(run: Run) -> None:
    code = ("import sys; from tenfold.cli import app; app(sys.argv[1:], standalone_mode=False); "
            "print(sorted({'numpy', 'PIL', 'tenfold.recipe', 'tenfold.prediction'} & set(sys.modules)))")
    for words in ((run.path, "nowhere.png"), (run.path / "nowhere", "nowhere.png")):
        done = subprocess.run([sys.executable, "-c", code, "predict", *words], capture_output=True, text=True)
        assert done.stderr.startswith(f"tenfold: {words[0] if 'nowhere' in str(words[0]) else words[1]}: no such ")
        assert done.stdout.strip() == "[]"


def test_a_folder_is_read_in_order_and_a_bad_file_does_not_stop_it(run: Run, tmp_path: Path) -> None:
    for name, make in MAKERS.items():
        make(tmp_path / name)
    (tmp_path / "below").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "below" / "Z.PNG")
    (tmp_path / "bad.jpg").write_text("no image")
    (tmp_path / "notes.txt").write_text("left alone in a folder")
    found = predict(run, [tmp_path], batch_size=4)
    assert [p.path for p in found] == sorted(tmp_path / name for name in [*MAKERS, "bad.jpg", "below/Z.PNG"])
    for p in found:
        if p.path.name == "bad.jpg":
            assert (p.label, p.probabilities) == (None, {})
            assert p.error
            assert "can't be read as an image" in p.error
        else:
            assert p.error is None
            assert p.label == max(p.probabilities, key=p.probabilities.__getitem__)
            assert sum(p.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_images_of_every_kind_get_the_same_answer(run: Run, tmp_path: Path) -> None:
    pixels = open_data(run.recipe()).train.images[:3]
    for i, image in enumerate(pixels):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{i}.png")
    files = sorted(tmp_path.iterdir())
    expected = [p.probabilities for p in predict(run, files)]
    pillow = [Image.open(file) for file in files]
    forms: dict[str, Any] = {
        "an array": pixels, "an array without channels": pixels[..., 0], "decimals": pixels / 255,
        "a list of arrays": list(pixels), "Pillow": pillow, "bytes": [file.read_bytes() for file in files],
        "a folder": tmp_path, "texts": [str(file) for file in files], "a mixture": [files[0], pixels[1], pillow[2]],
        "a generator": (file for file in files), "a list with an array of two": [pixels[:2], files[2]],
    }
    for name, images in forms.items():
        assert [p.probabilities for p in predict(run.path, images)] == expected, name
    for image in (str(files[1]), files[1], pixels[1], pixels[1, :, :, 0], pillow[1], files[1].read_bytes()):
        only, = predict(run, image)
        assert only.probabilities == expected[1]
    assert [p.name for p in predict(run, [files[0], pixels[1]])] == [str(files[0]), "image 2"]


def test_an_array_of_another_size_is_brought_to_the_models(run: Run, tmp_path: Path) -> None:
    Image.fromarray(_pixels(30, 20)).save(tmp_path / "a.png")
    file, = predict(run, tmp_path)
    array, = predict(run, _pixels(30, 20))
    assert array.probabilities == pytest.approx(file.probabilities, abs=0.02)


@pytest.mark.parametrize("images", [3, {"a": 1}, [3], [["a.png"]], None, np.arange(3)])
def test_a_value_that_is_no_image_is_one_line(run: Run, images: Any) -> None:
    with pytest.raises(UsageError, match=r"^image[^\n]*received [^\n]*; expected a path, the bytes"):
        predict(run, images)


def test_an_unsuitable_array_does_not_stop_the_others(run: Run) -> None:
    bad, good = predict(run, [np.full((8, 8), -1.0), np.zeros((8, 8))])
    assert bad.error == ("it holds values from -1 to -1; expected 0 to 255, or 0 to 1: pass the "
                         "images before the mean is subtracted")
    assert good.label


def test_predictions_are_those_of_the_model_for_the_decoded_pixels(run: Run, tmp_path: Path) -> None:
    names = ["RGB.png", "I16.png", "strip.png"]
    for name in names:
        MAKERS[name](tmp_path / name)
    shape = tuple(modelfile.facts(run.path / "model.keras")["shape"])
    expected = open_predictor(run, "keras").predict(np.stack([read_image(tmp_path / name, shape) for name in names]))
    found = predict(run, [tmp_path / name for name in names], batch_size=2)
    calibrated = at_temperature(expected, run.decisions()["temperature"])
    assert np.allclose([list(p.probabilities.values()) for p in found], calibrated, atol=1e-5)
    assert [p.probability for p in found] == pytest.approx(calibrated.max(axis=1), abs=1e-5)
    assert not np.allclose(expected[0], expected[1], atol=1e-3)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_an_error_of_the_model_is_raised_whichever_batch_it_meets(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5):
        Image.fromarray(_pixels(8, 8)).save(tmp_path / f"{number}.png")
    classifier, left = Classifier(run), iter([False, False, True])
    compute = classifier._answering.compute

    def failing(pixels: np.ndarray) -> Any:
        if next(left):
            raise ModelFileError("damaged")
        return compute(pixels)

    monkeypatch.setattr(type(classifier._answering), "compute", lambda _, pixels: failing(pixels))
    files = [(path, path) for path in sorted(tmp_path.glob("*.png"))]
    found = classifier.classify(files[start : start + 2] for start in range(0, 5, 2))
    assert [[each.number for each in next(found)] for _ in range(2)] == [[1, 2], [3, 4]]
    with pytest.raises(ModelFileError, match="damaged"):
        next(found)


def test_a_file_name_with_invalid_text_is_printed(run: Run, tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb") as file:
        Image.new("L", (8, 8)).save(file, "PNG")
    for format in ("--json", "--csv"):
        command = [sys.executable, "-m", "tenfold", "predict", str(run.path), str(tmp_path), format]
        told = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
        assert "caf?.png" in told.stdout


def test_a_file_given_twice_is_predicted_twice(run: Run, tmp_path: Path) -> None:
    path, other, bad = tmp_path / "RGB.png", tmp_path / "strip.png", tmp_path / "bad.png"
    MAKERS["RGB.png"](path)
    MAKERS["strip.png"](other)
    bad.write_text("no image")
    found = predict(run, [path, other, bad, path, bad])
    assert [p.path for p in found] == [path, other, bad, path, bad]
    assert found[0].probabilities == found[3].probabilities
    assert [bool(p.error) for p in found] == [False, False, True, False, True]


def test_a_digit_is_recognised_from_a_file(run: Run, tmp_path: Path) -> None:
    """The way over a file is the way of training: most training images get their own label."""
    dataset = open_data(run.recipe())
    paths = [tmp_path / f"{i:02}.png" for i in range(40)]
    for path, image in zip(paths, dataset.train.images, strict=False):
        Image.fromarray(image[:, :, 0]).save(path)
    right = [p.label == dataset.classes[label] for p, label in
             zip(predict(run, paths), dataset.train.labels, strict=False)]
    assert len(right) == 40
    assert np.mean(right) > 0.5  # ten classes: chance is 0.1


@pytest.mark.parametrize("kind", ["missing", "an empty folder"])
def test_a_path_without_images_is_refused(run: Run, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind != "missing":
        path.mkdir()
    with pytest.raises(UsageError, match="no such file" if kind == "missing" else "holds no images"):
        predict(run, [path])


def test_a_run_without_a_model_is_refused(tmp_path: Path) -> None:
    MAKERS["L.png"](tmp_path / "L.png")
    run = Run.create(tmp_path, "x")
    run.write_recipe(Recipe.load("mlp"))
    run.write_status(State.FAILED)
    with pytest.raises(RunError, match=r"has no model.keras .*'failed'"):
        predict(run, [tmp_path / "L.png"])


@pytest.mark.parametrize(("accepted", "words"), [(1, "1 of them is accepted"), (2, "2 of them are accepted")])
def test_the_warning_says_what_an_accepted_image_unlike_the_training_means(run: Run, accepted: int, words: str) -> None:
    strange = [Prediction(None, "0", {"0": 1.0}, unlike=True, decision="accepted" if number < accepted else "unsure")
               for number in range(3)]
    assert (f"; {words}, because the decision rules ignore this warning; their guarantee covers only images like the "
            "calibration images: check these yourself") in cautions(run, strange)[0]


def test_unfamiliar_images_and_an_unfinished_run_give_a_warning(run: Run, tmp_path: Path) -> None:
    images = open_data(run.recipe()).train.images[:10, :, :, 0]
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        Image.fromarray(255 - image).save(tmp_path / f"{number}-inverted.png")
    ordinary = predict(run, sorted(tmp_path.glob("?.png")))
    rules, = cautions(run, ordinary)
    assert rules.startswith("no answer is accepted: ")
    _, caution = cautions(run, predict(run, sorted(tmp_path.glob("*-inverted.png"))))
    assert "10 of 10 images are unlike the training images" in caution
    assert caution.endswith("their probabilities may be meaningless")
    copy = Run.open(shutil.copytree(run.path, tmp_path / "copy"))
    copy.write_status(State.DIVERGED, "the loss became nan")
    caution, _ = cautions(copy, ordinary)
    assert "'diverged' (the loss became nan)" in caution


def test_a_batch_of_no_images_is_refused(run: Run, tmp_path: Path) -> None:
    Image.fromarray(_pixels(8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="batch_size: received 0; expected at least 1"):
        predict(run, tmp_path / "a.png", batch_size=0)
