"""The report says what the decision rules promise, shows the curve, and the images that are not answered."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_runs import DIGITS, decided, digits, material, run_of

from tenfold.decisions.temperature import at_temperature
from tenfold.decisions.unknowns import Evidence
from tenfold.evaluation import deciding
from tenfold.export.formats.html import meaning
from tenfold.report import Material, html
from tenfold.report.confusions import confusions
from tenfold.report.decisions import sentences, set_rows
from tenfold.report.plots import plot_named
from tenfold.report.plots.answered import refused_cells
from tenfold.report.plots.samples import first_cells
from tenfold.report.plots.style import png
from tenfold.report.thumbnails import Sheet


@pytest.fixture(scope="module")
def made() -> Material:
    return decided(material(*digits(1200), DIGITS, skill=4.0))


def test_the_sentences_give_the_figures_of_the_test_split(made):
    tested = made.decisions["tested"]
    said = " ".join(sentences(made.decisions))
    assert f"the model answers {100 * tested['accepted']['value']:.1f} % [" in said
    assert f"{100 * tested['accepted_accuracy']['value']:.1f} % [" in said
    assert "Accepted answers to further images of the same kind are at least 90 % accurate. This guarantee, " in said
    assert "of the test images unknown" in said
    assert "Nothing below is guaranteed" not in said


def test_the_sentences_say_what_is_void_or_refused(made):
    accepted = made.decisions["accepted"]
    weak = {**made.decisions, "fitted": {"split": "validation", "images": 12, "reason": "it is void"}, "unknown": None,
            "unknown_refused": "12 images are few", "refused": [{"level": 0.95, "needed": 19}],
            "accepted": {**accepted, "threshold": None, "images": 12, "needed": 29, "supported": 0.779}}
    del weak["tested"]
    assert sentences(weak) == [
        "The decision rules guarantee nothing: it is void.",
        "No answer is accepted: 12 calibration images can't support an accuracy of 90 % (it needs at least 17 more); "
        "they support 77.9 %: `tenfold calibrate RUN --accuracy 0.779`.",
        "No image is called unknown: 12 images are few.",
        "Prediction sets at 95 % need 19 calibration images; there are 12."]
    assert sentences({}) == []
    assert set_rows(weak)[1] == set_rows({})[1] == []


def test_rules_without_calibration_images_promise_nothing(made):
    """Neither the report nor the web page says what holds only with them."""
    fitted = {"split": "validation", "images": 300, "reason": "it is void"}
    assert made.decisions["accepted"]["threshold"] is not None
    said = sentences({**made.decisions, "fitted": fitted})
    assert said[0] == "The decision rules guarantee nothing: it is void."
    assert "Accepted answers should be 90 % accurate, but that is not guaranteed." in said
    rules = deciding.fit(*[evidence()] * 3, 1.0, deciding.Wanted(accuracy=0.5), False, fitted)
    assert "that may be the true one: for about 90 of 100 images" in meaning(rules)
    assert "should be 50 % right or more, but nothing guarantees it" in meaning(rules)
    sure = dataclasses.replace(rules, fitted={**fitted, "split": "calibration", "reason": ""})
    assert "for 90 of 100 images" in meaning(sure)
    assert "at least 50 % are right" in meaning(sure)


def evidence() -> Evidence:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    logits = (3 * np.eye(3)[labels] + rng.normal(size=(300, 3))).astype(np.float32)
    return Evidence(logits, logits, labels)


def test_images_have_the_probabilities_that_predict_gives(made):
    """Calibrated at the temperature of the rules, in every picture of an image."""
    _, labels, p = made.test
    surest = np.sort(at_temperature(p, made.decisions["temperature"]).max(axis=1)[p.argmax(axis=1) != labels])[::-1]
    first = at_temperature(made.validation[2][:10], made.decisions["temperature"]).max(axis=1)
    assert [cell.lines[-1] for cell in first_cells(made)] == [f"{100 * each:.1f} %" for each in first]
    groups = [group for group in confusions(made, Sheet("small", 64, 52)).groups if group.true != group.predicted]
    words = [thumbnail.words for group in groups for thumbnail in group.thumbnails]
    most = max(float(text.removesuffix(" %").rpartition(" ")[2]) for text in words)
    assert most == pytest.approx(100 * surest[0], abs=0.051)


def test_the_curve_and_the_refused_images_are_drawn(made, tmp_path):
    plots = {name: png(plot_named(name).draw(made)) for name in ("answered", "refused")}
    cells = refused_cells(made)
    assert len(cells) == len(made.decisions["tested"]["examples"])
    assert {cell.lines[0] for cell in cells} == {each["decision"] for each in made.decisions["tested"]["examples"]}
    header, rows = set_rows(made.decisions)
    assert len({len(header), *map(len, rows)}) == 1
    run = run_of(tmp_path, made)
    page = html.report(run, made, plots, run.status())
    assert 'id="decisions"' in page
    assert "Images that are not answered" in page
    plain = dataclasses.replace(made, decisions={})
    assert 'id="decisions"' not in html.report(run, plain, {}, run.status())
    assert all(plot_named(name).draw(plain) is None for name in plots)
