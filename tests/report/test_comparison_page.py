"""The page of a comparison: paired differences the right way round, sorted and filtered in a real browser."""

from __future__ import annotations

import pytest

from tenfold.comparison import Pair
from tenfold.report import html
from tenfold.report.plots import Material, draw_all


def entry(value=None, low=None, high=None, p=None, p_holm=None):
    return {"value": value, "low": low, "high": high, "p": p, "p_holm": p_holm}


PAIRS = [
    Pair("first", "second", {"loss": entry(0.25, 0.125, 0.5, 0.0125, 0.0375), "accuracy": entry(0.02, -0.01, 0.05, 0.4),
                             "roc_auc": entry(0.01, -0.02, 0.04, 0.5, 1.0)}, {"p": 0.2, "p_holm": 0.6}),
    Pair("second", "third", {"loss": entry(), "accuracy": entry(), "roc_auc": entry(-0.05, -0.08, -0.02, 0.001, 0.003)},
         {"p": None, "p_holm": None}),
]
HEADER = ["run", "recipe", "seed", "ROC-AUC", "seconds"]
BODY = [["first", "a", "0", "0.9500 [0.9400, 0.9600]", "1,234.5"],
        ["second", "b", "0", "0.9400 [0.9300, 0.9500]", "99.0"], ["third", "c", "0", "–", "200.0"]]


@pytest.fixture
def page(tmp_path):
    plots = draw_all(Material([{"epoch": 1, "loss": 1.0}], ("a", "b")))
    text = html.comparison([("data set", "digits")], HEADER, BODY, ranked=3, pairs=PAIRS, plots=plots,
                           intervals=[("first", 0.9, 0.95, 1.0, "95.0 % [90.0, 100.0]")])
    path = tmp_path / "comparison.html"
    path.write_text(text, encoding="utf-8")
    return path


def rows(tab, table: int) -> list[list[str]]:
    texts = tab.locator("table").nth(table).locator("tbody tr:visible").all()
    return [[" ".join(cell.inner_text().split()) for cell in row.locator("th, td").all()]
            for row in texts]


def test_the_better_model_of_a_pair_comes_first_for_every_metric(browser, page):
    with browser.page(page, viewport={"width": 390, "height": 800}) as tab:
        assert rows(tab, 1) == [  # the ranking metric is chosen
            ["first", "second", "ROC-AUC (macro, one-vs-rest)", "+0.0100 [-0.0200, +0.0400]", "0.500", "1.000", "no"],
            ["third", "second", "ROC-AUC (macro, one-vs-rest)", "+0.0500 [+0.0200, +0.0800]", "0.001", "0.003", "yes"]]
        tab.select_option("select", "loss")
        assert rows(tab, 1) == [
            ["second", "first", "Loss (cross-entropy)", "-0.2500 [-0.5000, -0.1250]", "0.013", "0.037", "yes"],
            ["second", "third", "Loss (cross-entropy)", "–", "–", "–", "–"]]
        tab.select_option("select", "accuracy")
        assert rows(tab, 1)[0] == ["first", "second", "Accuracy", "+2.0 points [-1.0, +5.0]", "0.200", "0.600", "no"]
        tab.select_option("select", "")
        assert len(rows(tab, 1)) == 6
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]


def test_the_leaderboard_is_sorted_by_number_with_blanks_last(browser, page):
    with browser.page(page) as tab:
        tab.get_by_role("button", name="seconds").click()
        assert [row[1] for row in rows(tab, 0)] == ["first", "third", "second"]
        tab.get_by_role("button", name="ROC-AUC").click()
        tab.get_by_role("button", name="ROC-AUC").click()
        assert [row[0] for row in rows(tab, 0)] == ["2", "1", "3"]
    with browser.page(page, java_script_enabled=False) as tab:
        assert len(rows(tab, 1)) == 6


def test_a_comparison_without_pairs_has_no_table_of_them():
    text = html.comparison([], HEADER, BODY, ranked=3)
    assert "Differences between pairs" not in text
    assert "<figure" not in text


def test_very_many_pairs_show_only_two_metrics():
    text = html.comparison([], HEADER, BODY, ranked=3, pairs=PAIRS * 100, by="loss")
    assert text.count("<option") == 3
    assert text.count("data-metric=") == 400
