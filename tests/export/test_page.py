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

from tenfold import csvfile, jobs
from tenfold.data.images import read_image
from tenfold.errors import MissingExtraError
from tenfold.export.page import runtime
from tenfold.prediction import Prediction, predict
from tenfold.recipe import Recipe
from tenfold.run import Run

SCRIPTS = Path(runtime.__file__).parent
HOSTILE = ("</script><script>window.hacked = 1</script>", '"><img src=x onerror="window.hacked = 1">', "=1+1",
           "\n=a & b")
# Collects in `window.urls` the addresses of images that the page made and did not give back.
URLS = """() => {
window.urls = new Set();
const make = URL.createObjectURL, free = URL.revokeObjectURL;
URL.createObjectURL = blob => {
  const url = make(blob);
  if (blob.type.startsWith("image/")) urls.add(url);
  return url;
};
URL.revokeObjectURL = url => { urls.delete(url); free(url); };
}"""
# The mean redness of the upper left, upper right, lower left and lower right quarter of the picture beside a button.
REDNESS = """async button => {
  const picture = button.closest("li").querySelector("img");
  const context = new OffscreenCanvas(96, 96).getContext("2d", {willReadFrequently: true});
  await picture.decode();
  context.drawImage(picture, 0, 0, 96, 96);
  return [[0, 0], [48, 0], [0, 48], [48, 48]].map(([x, y]) => context.getImageData(x, y, 48, 48).data.reduce(
    (total, value, i) => total + value * [1, 0, -1, 0][i % 4], 0) / 48 ** 2);
}"""
# Records in `window.streams` what the camera gives.
STREAMS = """() => {
window.streams = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async wanted => { streams.push(await ask(wanted)); return streams.at(-1); };
}"""


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


def test_damaged_images_and_other_files_are_named_and_pictures_are_given_back(
    page: Path, photos, tmp_path: Path, browser,
) -> None:
    broken, other, scan = tmp_path / "broken.png", tmp_path / "other.pdf", tmp_path / "scan.TIF"
    broken.write_bytes(b"no image")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(scan, "TIFF")
    other.write_bytes(b"%PDF-1.4")
    with browser.page(page) as tab:
        tab.evaluate(URLS)
        found = answers(tab, [photos[0], broken, photos[1]])  # before the model is ready
        assert [row["path"] for row in found] == ["0.png", "broken.png", "1.png"]
        assert [row["error"] for row in found] == ["", "can't be read as an image", ""]
        assert [bool(row["label"]) for row in found] == [True, False, True]
        assert tab.inner_text("#status") == "2 images answered; 1 can't be read"
        tab.click("#remove")
        assert len(answers(tab, photos[:1])) == 1  # the same file again
        assert tab.inner_text("#status") == "1 image answered"
        assert answers(tab, [scan])[-1]["error"] == "can't be read: browsers don't open TIF; save it as PNG"
        tab.click("#remove")
        answers(tab, photos[:1])
        tab.set_input_files("#files", [str(other)])
        tab.wait_for_selector("#status:has-text('1 image answered; left out 1 file other than images')")
        tab.wait_for_function("document.querySelector('#answers img').complete && urls.size === 0")
    assert browser.errors == []


# Drops a folder as browsers without handles give it: with entries, in parts. One of its files can't be read.
ENTRIES = """() => {
  const canvas = document.querySelector("#sketch"), good = {name: "b.png", file: done => canvas.toBlob(done)};
  const bad = {name: "a.png", file: (done, failed) => failed(new DOMException("gone", "NotFoundError"))};
  const parts = [[good], [bad], []], folder = {name: "old", isDirectory: true, createReader: () => reader};
  const reader = {readEntries: done => done(parts.shift())};
  const items = [{webkitGetAsEntry: () => folder, getAsFile: () => null}];
  document.body.dispatchEvent(Object.assign(new Event("drop", {bubbles: true}), {dataTransfer: {items}}));
}"""


def drop(tab, place: str, paths: list[Path]) -> None:
    """Drop files and folders on an element."""
    box, session = tab.locator(place).bounding_box(), tab.context.new_cdp_session(tab)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 9, "y": box["y"] + 9, "data": data})


def test_images_come_by_drop_and_paste(page: Path, photos, tmp_path: Path, browser) -> None:
    folder = tmp_path / "birds"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png", ".hidden.png"):
        (folder / name).write_bytes(photos[0].read_bytes())
    (folder / "notes.txt").write_text("a file")
    with browser.page(page, permissions=["clipboard-read", "clipboard-write"]) as tab:
        tab.wait_for_selector("body[data-ready]")
        drop(tab, "h1", photos[1:2])
        tab.wait_for_selector("#answers li:nth-child(1)")
        drop(tab, "#drop", [folder, tmp_path / "nowhere.png", photos[2]])
        tab.wait_for_selector("#status:has-text('left out 1 file')")
        assert tab.locator("#answers .name").all_inner_texts() == [
            "1.png", "birds/a.png", "birds/deep/b.png", "nowhere.png", "2.png"]
        assert "can't be read" in tab.inner_text("#answers li:nth-child(4)")
        tab.evaluate("""async text => {
          const bytes = Uint8Array.from(atob(text), each => each.charCodeAt(0));
          await navigator.clipboard.write([new ClipboardItem({"image/png": new Blob([bytes], {type: "image/png"})})]);
        }""", base64.b64encode(photos[0].read_bytes()).decode())
        tab.keyboard.press("Control+V")
        tab.wait_for_selector("#answers .name:text('image.png')")
        assert tab.url == page.as_uri()
        tab.evaluate(ENTRIES)
        tab.wait_for_selector("#answers li:nth-child(8)")
        assert tab.locator("#answers .name").all_inner_texts()[6:] == ["old/a.png", "old/b.png"]
        assert "can't be read" in tab.inner_text("#answers li:nth-child(7)")
    assert browser.errors == []


def test_the_camera_starts_once_and_never_stays_on(page: Path, photos, browser) -> None:
    with browser.page(page, permissions=["camera"]) as tab:
        tab.evaluate(STREAMS)
        on = "streams.map(stream => stream.active)"
        tab.click("#camera")  # before the model is ready
        tab.evaluate("document.querySelector('#camera').click()")
        tab.wait_for_selector("#live-answer .row")
        assert len(answers(tab, photos[:1])) == 1
        assert tab.evaluate(on) == [True]
        tab.click("#stop")
        tab.wait_for_selector("#camera:enabled:focus")
        assert tab.evaluate(on) == [False]
        assert not tab.is_visible("#live")
        tab.evaluate("() => { document.querySelector('#video').play = () => Promise.reject(Error('no picture')); }")
        tab.click("#camera")
        tab.wait_for_selector("#status:has-text(\"The camera can't be used: no picture\")")
        assert tab.evaluate(on) == [False, False]
        tab.evaluate("() => void Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
        tab.click("#camera")
        tab.wait_for_selector("#status:has-text('this browser does not let this page use one')")
    assert browser.errors == []


def test_without_javascript_the_page_says_so(page: Path, browser) -> None:
    with browser.page(page, java_script_enabled=False) as tab:
        assert tab.locator("header p:visible").all_inner_texts()[1:] == [
            "This page needs JavaScript, which this browser does not run here."]


def test_names_of_classes_run_nothing_and_the_part_that_matters_is_red(tmp_path: Path, browser) -> None:
    from tenfold import Dataset, Provenance, Split

    labels = np.arange(400) % 4  # which corner is bright
    images = np.random.default_rng(0).integers(0, 40, (400, 16, 16, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[14 * (label // 2) :, 14 * (label % 2) :][:2, :2] = 250
    recipe = Recipe.from_dict({"model": {"name": "mlp", "hidden": [16]}, "train": {"epochs": 6, "batch_size": 20}}, "x")
    split = Split(images, labels, Provenance("made"))
    run = jobs.train(recipe, Dataset("made", "made", HOSTILE, train=split), runs=tmp_path / "runs")
    paths = [tmp_path / f"{label}.png" for label in range(4)]
    for path, image in zip(paths, images, strict=False):
        Image.fromarray(image).save(path)
    with browser.page(jobs.export(run, "html").path) as tab:
        tab.wait_for_selector("body[data-ready]")
        found = answers(tab, paths)
        assert [row["label"] for row in found] == [csvfile.cell(name) for name in HOSTILE]
        assert {*found[0]} >= {f"p_{name}" for name in HOSTILE}
        for label in range(4):
            button = tab.locator(f"#answers li:nth-child({label + 1}) button")
            before = button.evaluate(REDNESS)
            button.click()
            tab.wait_for_selector(f"#answers li:nth-child({label + 1}) [aria-pressed=true]:focus")
            assert int(np.argmax(np.subtract(button.evaluate(REDNESS), before))) == label
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
        assert button.evaluate(REDNESS) == before
        assert tab.evaluate("window.hacked") is None
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
