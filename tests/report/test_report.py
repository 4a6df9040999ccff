"""The report: everything a run knows, in one inert file that opens offline."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import re
from pathlib import Path

import numpy as np
import pytest
from made_runs import DIGITS, digits, environment, material, run_of

from tenfold.report import Material, facts, report
from tenfold.report.cautions import cautions
from tenfold.report.html import coded, place, unbroken

HOSTILE = ("<script>alert('x')</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a & b")


class Parser(html.parser.HTMLParser):
    """Collects the tags, the addresses they name, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for key, value in attributes if key in ("src", "href", "srcset")]
        assert not any(key.startswith("on") for key, _ in attributes), attributes

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def parsed(path: Path) -> tuple[Parser, str]:
    found = Parser(path.read_text(encoding="utf-8"))
    return found, re.sub(r"\s+", " ", " ".join(found.words).replace("\N{NO-BREAK SPACE}", " "))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    made = material(*digits(), DIGITS)
    run = run_of(tmp_path_factory.mktemp("runs"), made)
    return run, report(run, made)


def test_the_report_shows_calibration_and_corruption_results(tmp_path):
    made = material(*digits(), DIGITS)
    scored = made.metrics["test"]
    entry = scored["accuracy"]
    made = dataclasses.replace(
        made, calibration={"temperature": 0.05, "before": {"test": scored}, "after": {"test": scored}},
        corruptions={"count": 100, "clean": entry, "mean": {**entry, "value": 0.25},
                     "corruptions": {"jpeg": {"title": "JPEG", "accuracy": [{**entry, "value": 0.125}] * 5}}})
    _, text = parsed(report(run_of(tmp_path, made), made))
    assert "the model was not confident enough. This is the limit of the search" in text
    assert "test expected calibration error" in text.replace("Expected", "expected")
    assert "25.0 %" in text
    assert text.count("12.5 %") == 5
    plain = material(*digits(), DIGITS)
    assert "Temperature" not in parsed(report(run_of(tmp_path, plain, "plain"), plain))[1]


def test_the_report_is_self_contained_with_only_its_own_script(page):
    found, _ = parsed(page[1])
    assert page[1] == page[0].path / "report.html"
    assert all(address.startswith(("data:", "#")) for address in found.addresses)
    assert found.tags.count("img") == 5
    scripts = re.findall(r"<script>(.*?)</script>", page[1].read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(scripts) == found.tags.count("script") == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page[1].read_text(encoding="utf-8")


def test_links_within_the_report_have_a_target_and_ids_are_unique(page):
    text = page[1].read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_every_cell_of_the_matrix_that_has_images_shows_them(page):
    run, path = page
    matrix = np.array(run.metrics()["test"]["confusion_matrix"])
    text = path.read_text(encoding="utf-8")
    cells = {(int(i), int(j)) for i, j in re.findall(r'href="#cell-(\d+)-(\d+)" aria-label', text)}
    assert cells == {(i, j) for i, j in np.argwhere(matrix).tolist()}
    first = text[text.index('id="cell-0-0"'):]
    assert first[:first.index("</section>")].count('role="img"') == min(matrix[0, 0], 12)


def test_plots_are_written_to_the_run_too(page):
    names = {path.name for path in (page[0].path / "plots").iterdir()}
    assert names == {f"{name}.png" for name in (
        "loss", "accuracy", "confusion_matrix", "confusion_matrix_normalised", "roc", "precision_recall", "reliability",
        "samples", "first_validation", "confident_errors")}


def test_the_report_shows_results_status_command_and_recipe(page):
    run, path = page
    _, text = parsed(path)
    accuracy = run.metrics()["test"]["accuracy"]
    assert f"Test accuracy {100 * accuracy['value']:.1f} %" in text
    assert f"95 % interval [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}], on 100 images" in text
    assert "The test split was scored once, at the end of the training" in text
    assert "ROC-AUC (macro, one-vs-rest)" in text
    assert "Recipe cnn on data set digits · status: finished" in text
    assert f"tenfold train {run.path}/recipe.toml --data 'folder:my images/digits'" in text
    assert "[train.checkpoint]" in text
    assert "123,456" in text
    assert "A key of the future" in text
    assert "deep, list" in text
    assert "12,346" in text  # images per second in the history
    assert "nine" in text


def test_partial_and_held_out_splits_are_warned_of(page):
    _, text = parsed(page[1])
    box = text[text.index("⚠ Warnings"):text.index("Metrics")]
    assert "The train split is partial: 1,000 of 1,797 images" in box
    assert "The test split was held out by the recipe" in box


def test_a_whole_finished_run_has_no_warning():
    split = {"count": 10000, "source": "official test split", "partial": False, "expected": 10000}
    assert cautions({"status": "finished"}, {"test": split}, {"test": {"notes": []}}) == []
    partial = {"count": 7, "source": "held out of train (train: PARTIAL)", "partial": True, "expected": None}
    assert cautions({"status": "finished"}, {"test": partial}, {})[0].startswith(
        "The test split is partial: 7 images from partial data")
    assert cautions({"status": "diverged", "reason": "NaN"}, {}, {}) == [
        "This run is not finished; its status is “diverged”: NaN."]
    scored = {"per_class": {"cat": {}, "frog": {}}, "confusion_matrix": [[1, 3], [0, 40]], "count": 44}
    assert cautions({"status": "finished"}, {}, {"test": scored}) == [
        "Test split: 90.9 % of its 44 images are of the class frog, so always naming it would be right as often; see "
        "the recall of each class and the macro F1."]
    scored["confusion_matrix"] = [[10, 4], [0, 30]]
    assert cautions({"status": "finished"}, {}, {"test": scored}) == []
    assert cautions({"status": "finished"}, {}, {"test": {"notes": ["All of one class."]}}) == [
        "Test split: All of one class."]


def test_the_report_says_how_often_the_test_split_was_scored():
    assert facts.scored({"test": {"times": 1}}) == (
        "The test split was scored once, at the end of the training. It did not choose anything in this run.")
    assert "scored 4 times, at the end of the training and later (now), 3 of them before the run was resumed." in (
        facts.scored({"test": {"times": 4, "earlier": 3, "scored": "now"}}))


def test_held_out_splits_are_recognised_in_new_and_older_runs():
    words, field = {"source": "held out of train (7 images)"}, {"source": "photos", "held_out": True}
    whole = {"source": "held out, says its folder", "held_out": False, "expected": 7}
    kinds = [row["kind"] for row in facts.split_rows({"validation": words, "test": field, "train": whole})]
    assert kinds == ["held out", "held out", "whole"]


def test_hostile_names_are_inert(tmp_path):
    images, labels = digits(60)
    made = material(images, labels % 4, HOSTILE)
    run = run_of(tmp_path, made)
    tree = environment(HOSTILE, 30)
    tree["dataset"]["name"] = tree["<b>key</b>"] = tree["dataset"]["uri"] = HOSTILE[0]
    run.write_json("environment.json", tree)
    found, text = parsed(report(run, made))
    assert found.tags.count("script") == 1
    assert "b" not in found.tags
    assert found.tags.count("img") == 5
    for name in HOSTILE:
        assert name in text


def test_a_model_that_predicts_nan_still_has_a_report(tmp_path):
    made = material(*digits(), DIGITS)
    images, labels, p = made.test
    made = dataclasses.replace(made, test=(images, labels, np.where(np.arange(len(p))[:, None] == 3, np.nan, p)))
    _, text = parsed(report(run_of(tmp_path, made), made))
    assert "ROC curves" not in text


def test_training_images_in_a_test_split_and_small_splits_are_warned_of(tmp_path):
    made = material(*digits(), DIGITS)
    data = {"uri": "digits", "count": 100, "overlap": {"train": 80, "test": 20}}
    made.metrics["digits-train"] = {**made.metrics["test"], "data": data}
    run = run_of(tmp_path, made)
    tree = environment(DIGITS, 30)
    tree["dataset"]["splits"]["test"]["count"] = 5
    run.write_json("environment.json", tree)
    _, text = parsed(report(run, made))
    assert "Digits-train split: 80 of its 100 images are also in the run's train split." in text
    assert "20 of its 100 images are also in the run's test split." in text
    assert "The test split has only 5 images" in text


def test_undefined_metrics_are_listed_for_every_split(tmp_path):
    made = material(*digits(), DIGITS)
    made.metrics["photos-test"] = {**made.metrics["test"], "notes": ["class three has no images"],
                                   "roc_auc": {"value": None, "reason": "it needs images of every class"}}
    _, text = parsed(report(run_of(tmp_path, made), made))
    assert "Photos-test split: class three has no images" in text
    assert "is not defined on the photos-test split: it needs images of every class." in text


@pytest.mark.parametrize("status", ["diverged", "stopped", "failed"])
def test_a_run_without_a_complete_epoch_still_has_a_report(tmp_path, status):
    run = run_of(tmp_path, Material(classes=DIGITS), status=status)
    _, text = parsed(report(run, Material(classes=DIGITS)))
    assert "not scored" in text
    assert f"its status is “{status}”" in text
    assert "No epoch is complete" in text
    (run.path / "environment.json").unlink()
    assert report(run, Material(classes=DIGITS)).is_file()


def test_without_a_test_split_the_headline_names_validation(tmp_path):
    made = material(*digits(100), DIGITS)
    metrics = {"validation": made.metrics["validation"]}
    only = Material(made.history, DIGITS, metrics, validation=made.validation)
    _, text = parsed(report(run_of(tmp_path, only), only))
    assert "Validation accuracy" in text
    assert "The test split was scored" not in text


def test_undefined_values_are_dashes_and_explained(tmp_path):
    images, labels = digits(40)
    made = material(images, np.where(labels > 7, 0, labels), DIGITS)
    _, text = parsed(report(run_of(tmp_path, made), made))
    assert "Test split: No images of eight, nine in this split." in text
    assert "eight – – – – – 0" in text


def test_the_report_of_a_perfect_model_says_that_there_are_no_errors(tmp_path):
    made = material(*digits(60), DIGITS, skill=100)
    found, text = parsed(report(run_of(tmp_path, made), made))
    assert "No test image is misclassified." in text
    assert "100.0 %" in text
    assert found.tags.count("img") == 5


def test_many_classes_have_the_picture_of_the_matrix_and_images_of_the_commonest_pairs(tmp_path, rng):
    classes = tuple(f"class {i}" for i in range(60))
    images, labels = rng.integers(0, 256, (900, 12, 8, 3), dtype=np.uint8), rng.integers(0, 60, 900)
    made = material(images, labels, classes, skill=2)
    path = report(run_of(tmp_path, made), made)
    found, text = parsed(path)
    assert found.tags.count("img") == 7
    assert found.tags.count("section") == 40
    assert text.count(" predicted as ") >= 40
    assert path.stat().st_size < 4e6


def test_the_matrix_is_shown_without_the_images(tmp_path):
    made = material(*digits(100), DIGITS)
    path = report(run_of(tmp_path, made), Material(made.history, DIGITS, made.metrics))
    found, text = parsed(path)
    assert "zero predicted correctly:" in path.read_text(encoding="utf-8")
    assert "Click a number" not in text
    assert "section" not in found.tags


def test_a_model_without_heat_maps_says_so(tmp_path):
    made = material(*digits(100), DIGITS)
    plain = [dataclasses.replace(each, heats=()) for each in made.explained]
    _, text = parsed(report(run_of(tmp_path, made), dataclasses.replace(made, explained=plain)))
    assert "The model has no convolution, so there is no Grad-CAM." in text


def test_durations_and_histories_are_formatted_as_text():
    assert [facts.duration(s) for s in (0, 41.24, 59.9, 723.4, 7500)] == [
        "0.0 s", "41.2 s", "59.9 s", "12 min 3 s", "2 h 5 min"]
    first = {"epoch": 1, "images_per_second": 12345.6, "loss": float("nan"), "val_accuracy": 0.81349,
             "learning_rate": 1e-5}
    columns, rows = facts.history_rows([first, {"epoch": 2}])
    assert columns == ["epoch", "images/s", "loss", "validation accuracy", "learning rate"]
    assert rows == [["1", "12,346", "nan", "81.3 %", "1e-05"], ["2", "–", "–", "–", "–"]]
    assert unbroken("81.3 % [78.8, 83.6]") == "81.3\N{NO-BREAK SPACE}% [78.8,\N{NO-BREAK SPACE}83.6]"
    assert facts.sections({"seed": 0, "machine": {"gpu": None, "fast": True}}) == [
        ("General", [("seed", "0")]), ("Machine", [("gpu", "–"), ("fast", "yes")])]


def test_values_of_classes_show_intervals_if_the_run_has_them():
    entry = {"value": 0.5, "low": 0.25, "high": 0.75}
    with_intervals = {"test": {"per_class": {"cat": {"recall": entry, "average_precision": entry, "support": 4}}}}
    assert facts.class_rows(with_intervals) == (
        "test", ["class", "recall", "average precision", "images"],
        [["cat", "50.0 % [25.0, 75.0]", "50.0 % [25.0, 75.0]", "4"]])
    plain = {"validation": {"per_class": {"cat": {"recall": None, "roc_auc": 0.5, "support": 1}}}}
    assert facts.class_rows(plain) == (
        "validation", ["class", "recall", "ROC-AUC", "images"], [["cat", "–", "0.5000", "1"]])
    assert facts.class_rows({}) == ("", [], [])


def test_undefined_metrics_are_listed_with_their_reason():
    metrics = {"test": {"roc_auc": {"value": None, "low": None, "high": None, "reason": "it needs two classes"},
                        "loss": {"value": 0.5}, "accuracy": {"value": 0.5, "low": 0.1, "high": 0.9}}}
    assert facts.undefined(metrics) == [
        "ROC-AUC (macro, one-vs-rest) is not defined on the test split: it needs two classes.",
        "The test split has too few images, or too few of a class, for an interval of loss."]


def test_commands_in_sentences_are_code_and_nothing_else_is_markup():
    assert coded("try `tenfold x` for 9 %: <b>") == "try <code>tenfold x</code> for 9\N{NO-BREAK SPACE}%: &lt;b&gt;"


def test_intervals_are_placed_on_a_common_scale():
    ends, placed = place([("a", 0.5, 0.6, 0.7, "60 %"), ("b", 0.9, 0.95, 0.99, "95 %")])
    assert ends == ["49.0 %", "100.0 %"]
    assert [placed[0].low, placed[1].high] == pytest.approx([1.96, 98.04], abs=0.01)
    assert 0 <= placed[0].low < placed[0].value < placed[0].high < placed[1].low < placed[1].high <= 100
    assert place([("one", 1.0, 1.0, 1.0, "100 %")])[1][0].value == 100
    assert place([]) == ([], [])
