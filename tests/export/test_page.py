"""A model as one web page, in a real browser: it answers as Tenfold does, offline, and runs no foreign script."""

from __future__ import annotations

import base64
import csv
import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold import jobs
from tenfold.data.images import read_image
from tenfold.errors import MissingExtraError
from tenfold.export.page import runtime
from tenfold.prediction import Prediction, predict
from tenfold.recipe import Recipe
from tenfold.run import Run

SCRIPTS = Path(runtime.__file__).parent
HOSTILE = ("</script><script>window.hacked = 1</script>", '"><img src=x onerror="window.hacked = 1">', "=1+1", "a & b")


@pytest.fixture(scope="module", autouse=True)
def files() -> None:
    """The runtime of the browser, downloaded once if the package was built without it."""
    try:
        runtime.fetch()
    except Exception as error:  # no network
        pytest.skip(f"onnxruntime-web can't be had here: {error}")


@pytest.fixture(scope="module")
def page(runs: dict[str, Run]) -> Path:
    return jobs.export(runs["cnn"], "html").path


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Images of several shapes, colour modes and formats."""
    rng, paths = np.random.default_rng(0), []
    for i, (size, mode, kind) in enumerate([((32, 32), "RGB", "png"), ((90, 40), "RGB", "png"), ((33, 200), "L", "png"),
                                            ((64, 48), "RGBA", "png"), ((300, 200), "RGB", "jpeg")]):
        small = rng.integers(0, 256, (6, 6, 4), np.uint8)
        image = Image.fromarray(small, "RGBA").resize(size, Image.Resampling.BICUBIC).convert(mode)
        paths.append(tmp_path / f"{i}.{kind}")
        image.save(paths[-1])
    return paths


def answers(tab, paths: list[Path]) -> list[dict[str, str]]:
    """The rows of the CSV that the page saves after it was given these files."""
    tab.set_input_files("#files", [str(path) for path in paths])
    tab.wait_for_selector(f"#answers li:nth-child({len(paths)})")
    with tab.expect_download() as download:
        tab.click("#csv")
    return list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))


def check_answers(found: list[dict[str, str]], expected: list[Prediction]) -> None:
    """The rows are those of `tenfold predict`; browsers decode JPEGs a little differently."""
    assert [row["path"] for row in found] == [known.path.name for known in expected]
    for row, known in zip(found, expected, strict=True):
        jpeg = row["path"].endswith("jpeg")
        assert (row["label"], row["decision"]) == (known.label, known.decision)
        assert jpeg or row["set"] == "; ".join(known.set)
        for name, value in known.probabilities.items():
            assert float(row[f"p_{name}"]) == pytest.approx(value, abs=0.02 if jpeg else 2e-3)


def test_the_page_answers_as_tenfold_does_without_a_request(page: Path, runs: dict[str, Run], photos, browser) -> None:
    with browser.page(page) as tab:
        tab.wait_for_selector("body[data-ready]")
        found, words = answers(tab, photos), tab.locator("#answers .words").all_inner_texts()
    expected = predict(runs["cnn"], photos)
    check_answers(found, expected)
    for text, known in zip(words, expected, strict=True):
        assert f"one of {known.set[0]}, " in text
        assert known.decision in text.lower()
    assert browser.errors == []
    assert not [url for url in browser.requests if not url.startswith(("blob:", "data:", page.as_uri()))]


def test_a_page_in_int8_answers_as_the_int8_model(runs: dict[str, Run], photos, tmp_path: Path, browser) -> None:
    made = jobs.export(runs["cnn"], "html", tmp_path, int8=True, lose=100)
    assert made.path.name == "model.int8.html"
    assert f"8 bits here, which changed the accuracy by {made.agreement.change};" in made.path.read_text("utf-8")
    expected = predict(jobs.export(runs["cnn"], "onnx", tmp_path, int8=True, lose=100).path, photos[:3])
    with browser.page(made.path) as tab:
        tab.wait_for_selector("body[data-ready]")
        found = answers(tab, photos[:3])
    for row, known in zip(found, expected, strict=True):
        for name, value in known.probabilities.items():
            assert float(row[f"p_{name}"]) == pytest.approx(value, abs=0.02)
    assert browser.errors == []


def test_the_page_answers_in_firefox_too(page: Path, runs: dict[str, Run], photos, firefox) -> None:
    firefox.open(page)
    firefox.wait("document.body.dataset.ready")
    firefox.give("#files", photos)
    firefox.wait(f"document.querySelectorAll('#answers > li').length === {len(photos)}")
    firefox.evaluate("document.querySelector('#csv').click()")
    saved, deadline = firefox.downloads / "answers.csv", time.monotonic() + 60
    while not (saved.is_file() and saved.read_bytes().count(b"\n") > len(photos)) and time.monotonic() < deadline:
        time.sleep(0.05)
    check_answers(list(csv.DictReader(io.StringIO(saved.read_text(encoding="utf-8")))), predict(runs["cnn"], photos))
    assert firefox.complaints() == []


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
def test_pixels_in_the_browser_are_those_of_the_image_reader(resize: str, tmp_path: Path, browser) -> None:
    blank = tmp_path / "blank.html"
    blank.write_text("<!doctype html><title>x</title>")
    rng = np.random.default_rng(1)
    with browser.page(blank) as tab:
        tab.add_script_tag(content=(SCRIPTS / "pixels.js").read_text(encoding="utf-8"))
        for height, width in ((40, 48), (480, 640), (37, 300), (5, 9)):
            small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
            image = small.resize((width, height), Image.Resampling.BICUBIC)
            content = io.BytesIO()
            image.save(content, "PNG")
            for shape in ((32, 32, 3), (28, 28, 1), (96, 96, 3)):
                text = tab.evaluate(
                    "([text, rows, columns, shape, resize]) => btoa(String.fromCharCode(...modelPixels("
                    "Uint8Array.from(atob(text), c => c.charCodeAt(0)), rows, columns, shape, resize)))",
                    [base64.b64encode(image.convert("RGBA").tobytes()).decode(), height, width, list(shape), resize])
                pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)
                expected = read_image(content.getvalue(), shape, resize=resize)
                assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_a_damaged_image_is_named_and_the_others_are_answered(page: Path, photos, tmp_path: Path, browser) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with browser.page(page) as tab:
        tab.wait_for_selector("body[data-ready]")
        found = {row["path"]: row for row in answers(tab, [broken, *photos[:2]])}
    assert found["broken.png"]["error"] == "can't be read as an image"
    assert all(found[path.name]["label"] for path in photos[:2])


def test_names_of_classes_run_nothing(tmp_path: Path, photos, browser) -> None:
    from tenfold import Dataset, Provenance, Split

    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (80, 16, 16, 3), np.uint8), np.arange(80) % 4, Provenance("made"))
    recipe = Recipe.from_dict({"model": {"name": "mlp", "hidden": [4]}, "train": {"epochs": 1, "batch_size": 20}}, "x")
    run = jobs.train(recipe, Dataset("made", "made", HOSTILE, train=split), runs=tmp_path / "runs")
    with browser.page(jobs.export(run, "html").path) as tab:
        tab.wait_for_selector("body[data-ready]")
        found = answers(tab, photos[:1])
        assert tab.evaluate("window.hacked") is None
    assert found[0]["label"].lstrip("'") in HOSTILE
    assert browser.errors == []


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1200, "light")])
def test_the_page_fits_the_screen_and_is_accessible(page: Path, photos, browser, width: int, scheme: str) -> None:
    import axe_playwright_python.sync_playwright as axe

    with browser.page(page, viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True) as tab:
        tab.wait_for_selector("body[data-ready]")
        answers(tab, photos)
        tab.click("#answers li button")
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
        found = axe.Axe().run(tab).response["violations"]
    assert not [each["id"] for each in found if each["impact"] in ("serious", "critical")]


def test_a_drawing_is_answered(tmp_path: Path, browser) -> None:
    run = jobs.train(Recipe.from_dict({"data": {"source": "digits"}, "model": {"name": "mlp", "hidden": [32]},
                                       "train": {"epochs": 3}}, "x"), runs=tmp_path)
    with browser.page(jobs.export(run, "html").path) as tab:
        tab.wait_for_selector("body[data-ready]")
        tab.click("#pencil")
        box = tab.locator("#sketch").bounding_box()
        tab.mouse.move(box["x"] + 140, box["y"] + 40)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 140, box["y"] + 240, steps=8)
        tab.mouse.up()
        tab.wait_for_selector("#sketch-answer .row")
        assert tab.locator("#sketch-answer .row").count() == 5
    assert browser.errors == []


def test_without_the_runtime_the_command_says_how_to_get_it(
    runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "PACKAGED", tmp_path / "nowhere")
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MissingExtraError, match=r"^the format html needs onnxruntime-web [^\n]* --fetch[^\n]*$"):
        jobs.export(runs["cnn"], "html", tmp_path / "page.html")
    assert not list(tmp_path.glob("page*"))
