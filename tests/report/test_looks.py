"""How the pages look in a real browser: on a phone and a desktop, in the light and in the dark."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from made_runs import DIGITS, digits, material, run_of
from PIL import Image

from tenfold.comparison import compare, write_html
from tenfold.report import report

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1200, "height": 900}
MODELS = ("cnn", "mlp", "cifar_cnn_with_a_long_name", "speed")

# Elements that reach beyond the window, except inside a box that scrolls.
BEYOND = """[...document.body.querySelectorAll('*')].filter(each => !each.closest('.wide, pre')
  && each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    made = material(*digits(400), DIGITS, skill=2)
    runs = [run_of(root / "compared", material(*digits(300), DIGITS, seed=i, skill=2), f"{name}-digits")
            for i, name in enumerate(MODELS)]
    return {"report": report(run_of(root / "runs", made), made),
            "comparison": write_html(compare(runs), root / "comparison.html")}


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("name", ["report", "comparison"])
def test_nothing_is_wider_than_the_window(browser, pages, name, viewport):
    with browser.page(pages[name], viewport=viewport) as tab:
        assert tab.evaluate(BEYOND) == []


def test_the_leaderboard_shows_all_columns_on_a_desktop_and_the_ranking_on_a_phone(browser, pages):
    for viewport, cells in ((DESKTOP, ".leaderboard th, .leaderboard td"), (PHONE, ".leaderboard .ranked")):
        with browser.page(pages["comparison"], viewport=viewport) as tab:
            right = tab.eval_on_selector_all(cells, "all => all.map(each => each.getBoundingClientRect().right)")
            box = tab.locator(".wide").first.bounding_box()
            assert len(right) > len(MODELS)
            assert max(right) <= box["x"] + box["width"] + 1


def test_intervals_do_not_wrap(browser, pages):
    for viewport in (PHONE, DESKTOP):
        for path in pages.values():
            with browser.page(path, viewport=viewport) as tab:
                lines = tab.eval_on_selector_all(".interval", "all => all.map(each => each.getClientRects().length)")
                assert max(lines) == 1  # 0 for those of hidden rows


def test_every_row_of_figures_is_full_and_their_text_is_equally_large(browser, pages):
    with browser.page(pages["report"], viewport=DESKTOP) as tab:
        for figures in tab.locator(".figures").all():
            box = figures.bounding_box()
            last = figures.locator("figure").last.bounding_box()
            assert last["x"] + last["width"] == pytest.approx(box["x"] + box["width"], abs=1)
            scales = figures.locator("img").evaluate_all("all => all.map(each => each.width / each.naturalWidth)")
            assert max(scales) / min(scales) < 1.1


def test_no_key_of_a_recipe_or_a_metric_is_a_heading(browser, pages):
    for path in pages.values():
        with browser.page(path) as tab:
            headings = tab.locator("h1, h2, h3, thead th, dt, .facts th, option").all_text_contents()
            assert len(headings) > 10
            assert [text for text in headings if re.search(r"[a-z]_[a-z]|[a-z]\.[a-z]", text)
                    and not text.startswith(("cnn", "cifar"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_have_the_ground_of_the_page(browser, pages, scheme):
    with browser.page(pages["report"], viewport=DESKTOP, color_scheme=scheme) as tab:
        ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        page = tuple(map(int, re.findall(r"\d+", ground)))[:3]
        for plot in tab.locator("img.chart").all():
            shot = np.asarray(Image.open(io.BytesIO(plot.screenshot())).convert("RGB"))
            assert np.abs(shot[6:10, 6:10].astype(int) - page).max() <= 2
