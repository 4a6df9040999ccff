"""The page of all images in a real browser: hover, zoom, colour, lasso, tables, keys, and without a script."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import Browser
from made_images import drawn

from tenfold.report.explore import page, plots
from tenfold.report.explored import Explored, Found, FoundKind, Looks

COUNT, CLASSES = 40, ("left", '<b>"&', "=1+1")
MARGIN = 16  # CSS pixels around the whole map


def explored() -> Explored:
    """40 pictures: one class on the left of the map, one on the right; the last image is the test split."""
    labels = np.arange(COUNT) % 2
    images = np.stack([drawn(i, 24, 32) for i in range(COUNT)])
    turn = np.linspace(0, 2 * np.pi, COUNT)
    places = np.stack([np.where(labels == 0, 0.2, 0.8) + 0.2 * np.cos(turn), 0.5 + 0.2 * np.sin(turn)], axis=1)
    means = np.stack([images[labels == 0].mean(axis=0), images[labels == 1].mean(axis=0), np.full((24, 32, 3), np.nan)])
    return Explored(
        "made", CLASSES, ("train", "test"), labels, (np.arange(COUNT) == COUNT - 1).astype(np.int64),
        tuple(f"{'=1+1' if i == 4 else i}, \"x\".png" for i in range(COUNT)),
        Looks(images, images[:10], means.astype(np.float32), images.mean(axis=(1, 2)).astype(np.float32)),
        np.arange(10), (24, 32, 3), np.array([(32, 24)] * COUNT), places.astype(np.float32), "openTSNE",
        (FoundKind("near_leak", "Nearly the same", "Drop one.", 1), FoundKind("dark", "Dark", "Look.", 2)),
        (Found("near_leak", np.array([7, 39]), 1.0, "99 % alike"), Found("dark", np.array([2]), 0.5, "<i>dim</i>"),
         Found("dark", np.array([7]), 0.5, "dim")))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Explored, Path]:
    found, path = explored(), tmp_path_factory.mktemp("explore") / "explore.html"
    path.write_text(page(found, plots(found)), encoding="utf-8")
    return found, path


def ready(tab: Any) -> None:
    tab.wait_for_selector("html[data-ready='map']", state="attached")  # a function would need the page to allow eval


def spot(tab: Any, found: Explored, place: Any) -> tuple[float, float]:
    """Where a place of the whole map (0 to 1) is in the window, in CSS pixels."""
    assert found.places is not None
    tab.locator("#map").scroll_into_view_if_needed()
    box = tab.locator("#map").bounding_box()
    low, high = found.places.min(axis=0), found.places.max(axis=0)
    scale = min((box["width"] - 2 * MARGIN) / (high - low)[0], (box["height"] - 2 * MARGIN) / (high - low)[1])
    across, down = ((np.asarray(place) - (low + high) / 2) * scale).tolist()
    return box["x"] + box["width"] / 2 + across, box["y"] + box["height"] / 2 + down


def saved(tab: Any, button: str, path: Path) -> list[dict[str, str]]:
    """The rows of the table that a button saves."""
    with tab.expect_download() as download:
        tab.click(button)
    download.value.save_as(path)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_asks_for_nothing_and_fits(browser: Browser, made: tuple[Explored, Path], width: int,
                                            scheme: Any) -> None:
    with browser.page(made[1], viewport={"width": width, "height": 900}, color_scheme=scheme) as tab:
        ready(tab)
        tab.click("#in-view")
        assert tab.locator("#chosen li").count() == 30
        tab.click("#more")
        assert tab.locator("#chosen li").count() == COUNT
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert tab.evaluate("document.querySelectorAll('canvas.waiting').length") == 0
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [made[1].as_uri()]


def test_the_image_under_the_pointer_is_shown(browser: Browser, made: tuple[Explored, Path]) -> None:
    found, path = made
    with browser.page(path) as tab:
        ready(tab)
        tab.mouse.move(*spot(tab, found, found.places[2]))
        assert tab.inner_text("#card").split("\n\n") == ["2, \"x\".png", "left, train", "⚠ dark: <i>dim</i>"]
        tab.wait_for_selector("#card canvas:not(.waiting)")
        pixels = tab.evaluate("""[...document.querySelector('#card canvas').getContext('2d')
                              .getImageData(0, 0, 32, 24).data]""")
        seen = np.array(pixels).reshape(24, 32, 4)[..., :3]
        distances = [np.abs(seen - other.astype(int)).mean() for other in found.looks.small]
        assert int(np.argmin(distances)) == 2
    assert browser.errors == []


def test_zoom_keeps_the_place_under_the_pointer(browser: Browser, made: tuple[Explored, Path], tmp_path: Path) -> None:
    found, path = made
    with browser.page(path, accept_downloads=True) as tab:
        ready(tab)
        tab.mouse.move(*spot(tab, found, found.places[12]))
        for _ in range(6):
            tab.mouse.wheel(0, -240)
        tab.click("#in-view")
        assert [row["image"] for row in saved(tab, "#save", tmp_path / "near.csv")] == ["12, \"x\".png"]
        tab.click("#whole")
        tab.click("#in-view")
        assert tab.inner_text("#chosen-words") == f'40 images: left 20, {CLASSES[1]} 20.'


def test_colours_and_highlights_limit_the_selection(browser: Browser, made: tuple[Explored, Path]) -> None:
    with browser.page(made[1]) as tab:
        ready(tab)
        assert tab.locator("#legend button").all_inner_texts() == ["left\n20", f"{CLASSES[1]}\n20", "=1+1\n0"]
        tab.click("#legend button:nth-child(2)")
        tab.click("#in-view")
        assert tab.inner_text("#chosen-words") == f"20 images: {CLASSES[1]} 20."
        tab.select_option("#colour", "split")
        tab.click("#legend button:nth-child(2)")
        assert tab.get_attribute("#legend button:nth-child(2)", "aria-pressed") == "true"
        tab.click("#in-view")
        assert tab.locator("#chosen li span:first-of-type").all_inner_texts() == ['39, "x".png']
        tab.select_option("#colour", "finding")
        assert tab.locator("#legend button").all_inner_texts() == ["none\n37", "near leak\n2", "dark\n1"]
    assert browser.errors == []


def test_a_lasso_selects_and_saves(browser: Browser, made: tuple[Explored, Path], tmp_path: Path) -> None:
    found, path = made
    with browser.page(path, accept_downloads=True) as tab:
        ready(tab)
        assert tab.is_disabled("#save")
        tab.click("#lasso")
        corners = [spot(tab, found, place) for place in ((-0.01, 0.29), (0.45, 0.29), (0.45, 0.71), (-0.01, 0.71))]
        tab.mouse.move(*corners[0])
        tab.mouse.down()
        for corner in corners[1:]:
            tab.mouse.move(*corner, steps=5)
        tab.mouse.up()
        assert tab.inner_text("#chosen-words") == "20 images: left 20."
        rows = saved(tab, "#save", tmp_path / "selection.csv")
        assert {row["class"] for row in rows} == {"left"}
        assert rows[1] == {"image": "2, \"x\".png", "class": "left", "split": "train", "findings": "dark"}
        assert rows[2]["image"] == "'=1+1, \"x\".png"
        tab.select_option("#decision", f"relabel:{CLASSES[1]}")
        rows = saved(tab, "#save-decisions", tmp_path / "decisions.csv")
        assert rows[0] == {"image": "0, \"x\".png", "decision": "relabel", "label": CLASSES[1]}
        tab.click("#clear")
        assert tab.is_disabled("#save")
        tab.click("[data-kind='1']")
        assert [row["image"][0] for row in saved(tab, "#save", tmp_path / "dark.csv")] == ["2", "7"]
    assert browser.errors == []


def test_the_keyboard_reaches_every_image(browser: Browser, made: tuple[Explored, Path]) -> None:
    found, path = made
    with browser.page(path) as tab:
        ready(tab)
        tab.focus("#map")
        tab.keyboard.press("ArrowRight")
        named = tab.inner_text("#card .name")
        assert named.endswith(".png")
        for _ in range(30):
            tab.keyboard.press("ArrowRight")
        assert tab.inner_text("#card .name") == f'{int(np.argmax(found.places[:, 0]))}, "x".png'
        tab.keyboard.press("Enter")
        assert tab.inner_text("#chosen-words") == f"1 image: {CLASSES[1]} 1."
        tab.keyboard.press("Enter")
        assert tab.inner_text("#chosen-words") == "None."
    assert browser.errors == []


def test_without_a_script_there_are_a_picture_and_tables(browser: Browser, made: tuple[Explored, Path]) -> None:
    with browser.page(made[1], java_script_enabled=False) as tab:
        assert tab.locator("noscript img").count() == 1
        assert tab.locator("button:visible, select:visible, canvas:visible").count() == 0
        assert tab.locator("table.kinds tbody tr").count() == 2
        assert "train 20, test 0" in tab.inner_text(".class-row:first-child")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser: Browser, made: tuple[Explored, Path], scheme: Any) -> None:
    import axe_playwright_python.sync_playwright as axe

    with browser.page(made[1], color_scheme=scheme, bypass_csp=True) as tab:
        ready(tab)
        tab.click("#in-view")
        tab.click("#legend button:nth-child(2)")
        found = axe.Axe().run(tab)
        assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found.response["violations"]] == []


def test_poor_data_still_make_a_page(browser: Browser, made: tuple[Explored, Path], tmp_path: Path) -> None:
    whole = made[0]
    equal = replace(whole, places=np.full((COUNT, 2), 0.5, np.float32), kinds=(), findings=(), names=())
    bare = replace(whole, places=None, method="", sizes=None, kinds=(), findings=(), notes=("there is no map: <why>",))
    for found, words in ((equal, "40 images: left 20"), (bare, "there is no map: <why>")):
        path = tmp_path / "poor.html"
        path.write_text(page(found, plots(found)), encoding="utf-8")
        with browser.page(path) as tab:
            if found.places is not None:
                ready(tab)
                tab.click("#in-view")
            assert words in tab.inner_text("main")
            assert "Nothing was found." in tab.inner_text("main")
    assert browser.errors == []


@pytest.mark.slow
def test_the_page_of_very_many_noisy_images_is_bounded() -> None:
    count = 60_000
    noise = np.random.default_rng(0).integers(0, 256, (2_000, 24, 24, 3), np.uint8)
    labels = np.arange(count) % 10
    looks = Looks(np.tile(noise, (count // len(noise), 1, 1, 1)), noise[:20], noise[:10].astype(np.float32),
                  np.zeros((count, 3), np.float32))
    found = Explored("noise", tuple("0123456789"), ("train",), labels, np.zeros(count, np.int64),
                     tuple(f"some/long/folder/{i:09d}.jpeg" for i in range(count)), looks, np.arange(20), (24, 24, 3),
                     places=np.random.default_rng(1).random((count, 2)).astype(np.float32), method="openTSNE")
    assert len(page(found, {})) < 15e6
