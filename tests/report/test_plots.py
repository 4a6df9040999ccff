"""Plots: their numbers, and that a figure comes out of whatever a run can hold."""

from __future__ import annotations

import dataclasses
import io
import multiprocessing

import matplotlib.text
import numpy as np
import pytest
from made_runs import DIGITS, digits, history, material
from matplotlib.figure import Figure
from PIL import Image
from sklearn import metrics as reference

from tenfold.errors import UnknownNameError
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.misclassified import Explained, Guess, Neighbour, gallery, guesses
from tenfold.registry import PLOTS
from tenfold.report.plots import Material, class_grid, draw_all, plot_named
from tenfold.report.plots.confusion import draw_confusion
from tenfold.report.plots.corruptions import accuracies, draw_accuracies
from tenfold.report.plots.curves import curve, draw_curve
from tenfold.report.plots.grid import draw_cells, examples, mosaic
from tenfold.report.plots.heat import draw_explained, draw_gallery, enlarge, overlay
from tenfold.report.plots.pareto import draw_pareto, spread
from tenfold.report.plots.ranking import precision_recall_curves, roc_curves
from tenfold.report.plots.reliability import draw_reliability, reliability
from tenfold.report.plots.samples import guess_cell, sample_indices
from tenfold.report.plots.style import png, shorten

ROUNDING = 1e-9
ALL = {"loss", "accuracy", "confusion_matrix", "confusion_matrix_normalised", "samples", "first_validation",
       "confident_errors", "roc", "precision_recall", "reliability"}
# of scored corruptions, a comparison, a learning curve, decision rules
COMPARED = {"corruptions", "pareto", "more_images", "answered", "refused"}


def size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image.size


# -- the numbers ------------------------------------------------------------------------------------------


def test_a_curve_has_the_values_and_the_epoch_of_the_highest_validation_accuracy():
    data = curve(history(5), "loss")
    assert data.epochs.tolist() == [1, 2, 3, 4, 5]
    assert data.training[0] == pytest.approx(2.4 * 0.7)
    assert data.best == 3
    assert data.at_best() == pytest.approx(2.3 * 0.75**3 + 0.06)
    assert curve(history(5), "accuracy", best_epoch=2).best == 2


def test_a_line_marks_the_start_of_the_second_phase():
    records = [{**record, "phase": 1.0 if record["epoch"] < 4 else 2.0} for record in history(5)]
    assert curve(records, "loss").phases == (4,)
    assert curve(history(5), "loss").phases == ()
    words = [text.get_text() for text in draw_curve(curve(records, "loss"), "Loss", "nats").axes[0].texts]
    assert words == [" phase 2"]


def test_the_first_of_equally_good_epochs_is_marked():
    records = [{"epoch": e, "loss": 1.0, "val_accuracy": 0.5} for e in (1, 2, 3)]
    assert curve(records, "loss").best == 1


def test_curve_without_validation_or_epochs_has_no_best_epoch():
    records = [{"epoch": 1, "loss": 2.0, "accuracy": 0.1}, {"epoch": 2, "loss": float("nan")}]
    data = curve(records, "loss")
    assert data.best is None
    assert np.isnan(data.validation).all()
    assert np.isnan(data.training[1])
    assert len(curve([], "loss").epochs) == 0


@pytest.mark.parametrize("classes", [3, 30])
@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 1000])
def test_the_colour_bar_of_counts_shows_each_whole_number_once(classes, most):
    figure = draw_confusion(np.diag([most] * classes), [str(i) for i in range(classes)], "counts", "images")
    figure.draw_without_rendering()
    low, high = figure.axes[1].get_ylim()
    shown = [text.get_text() for text, place in zip(figure.axes[1].get_yticklabels(), figure.axes[1].get_yticks(),
                                                    strict=True) if low <= place <= high]
    assert len(set(shown)) == len(shown) >= 2
    assert all(place == round(place) for place in figure.axes[1].get_yticks())


def test_a_wrong_guess_is_marked_in_words_and_frame_not_by_colour_alone():
    labels, p = np.array([0, 1]), np.array([[.9, .1], [.6, .4]])
    image = np.zeros((8, 8, 1), np.uint8)
    right, wrong = (guess_cell(image, guess, ("cat", "dog")) for guess in guesses(labels, p, 2))
    assert right.lines == ("true: cat", "✓ cat", "90.0 %")
    assert wrong.lines == ("true: dog", "✗ cat", "60.0 %")
    frames = draw_cells([right, wrong], 2, "two").axes[0].patches
    assert frames[1].get_linewidth() > frames[0].get_linewidth()
    assert frames[1].get_linestyle() != frames[0].get_linestyle()


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("count", [2, 3, 60])
def test_the_curves_are_those_of_scikit_learn(count, decimals, rng):
    labels = np.arange(count) % 3
    p = rng.dirichlet([1, 1, 1], count).round(decimals)
    for found in roc_curves(labels, p):
        positive, scores = labels == found.label, p[:, found.label]
        x, y, _ = reference.roc_curve(positive, scores)
        np.testing.assert_array_equal((found.x, found.y), (x, y))
        assert found.area == pytest.approx(reference.roc_auc_score(positive, scores), abs=1e-12)
    for found in precision_recall_curves(labels, p):
        positive, scores = labels == found.label, p[:, found.label]
        y, x, _ = reference.precision_recall_curve(positive, scores, drop_intermediate=True)
        np.testing.assert_array_equal((found.x, found.y), (x, y))
        assert found.area == pytest.approx(reference.average_precision_score(positive, scores), abs=1e-12)


def test_roc_and_precision_recall_curves_on_fixed_numbers():
    labels = np.array([0, 1, 0, 1])
    p = np.array([[.9, .1], [.6, .4], [.65, .35], [.2, .8]])
    (curve,) = roc_curves(labels, p)
    assert (curve.label, curve.area) == (1, 1.0)
    assert (curve.x.tolist(), curve.y.tolist()) == ([0, 0, 0, 1], [0, .5, 1, 1])
    (curve,) = precision_recall_curves(labels, p[[0, 2, 1, 3]])
    assert curve.area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert curve.x.tolist() == [1, 1, .5, .5, 0]
    assert curve.y.tolist() == [.5, 2 / 3, .5, 1, 1]


def test_curves_of_many_classes_have_the_areas_of_the_metric_and_leave_out_absent_classes(rng):
    labels, p = rng.integers(0, 5, 300), rng.dirichlet(np.ones(6), 300)
    curves = roc_curves(labels, p)
    assert [curve.label for curve in curves] == [0, 1, 2, 3, 4]
    assert np.mean([curve.area for curve in curves]) == pytest.approx(metric("roc_auc")(labels, p))
    assert [curve.label for curve in precision_recall_curves(labels, p)] == [0, 1, 2, 3, 4]
    assert roc_curves(labels[:0], p[:0]) == []
    assert roc_curves(np.zeros(3, int), p[:3]) == []


def test_a_heat_map_is_drawn_over_a_grey_image():
    image = np.full((4, 4, 1), 100, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    assert (overlay(image, heat) == 100).all()
    heat[:, 2:] = 1
    shown = overlay(image, heat)
    assert shown.shape == (96, 96, 3)
    assert (shown[:, :20] == 100).all()
    brightest = np.array([252, 255, 164])  # the top of inferno
    np.testing.assert_allclose(shown[50, 90], 0.35 * 100 + 0.65 * brightest, atol=1)
    assert enlarge(np.zeros((200, 10, 3), np.uint8)).shape == (200, 10, 3)


def test_an_explanation_is_drawn_with_its_heat_and_neighbours(rng):
    image = rng.integers(0, 256, (8, 8, 1), dtype=np.uint8)
    heat = rng.random((8, 8), np.float32)
    training = rng.integers(0, 256, (5, 8, 8, 1), dtype=np.uint8), np.array([0, 1, 0, 1, 0])
    explained = Explained(Guess(7, 1, 0, 0.9), image, ((0, heat), (1, heat)), (Neighbour(3, 1, 0.5),))
    texts = [text.get_text() for text in draw_explained(explained, ("cat", "dog"), training, "an error").texts]
    assert texts == ["an error", "true: dog", "✗ cat", "90.0 %", "Grad-CAM of", "cat", "Grad-CAM of", "dog",
                     "train 3", "dog", "similarity 0.500"]
    alone = draw_explained(Explained(Guess(0, None, 0, 0.9), image), ("cat", "dog"))
    assert [text.get_text() for text in alone.texts] == ["", "cat", "90.0 %"]
    assert size(png(alone))[0] > 300


def test_a_gallery_is_drawn_in_rows_of_one_kind(rng):
    labels, p = np.array([0, 0, 0, 1]), np.array([[.9, .1], [.8, .2], [.4, .6], [.7, .3]])
    images = rng.integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    figure = draw_gallery(gallery(labels, p, 0, 5), images, ("cat", "dog"))
    assert len(figure.axes[0].images) == 2 + 2 + 1 + 1
    assert draw_gallery(gallery(labels[:0], p[:0], 0, 5), images, ("cat", "dog")) is None


def model(i: int, value: float, seconds: float) -> dict:
    return {"model": f"a model with a long name {i}", "by": "roc_auc", "value": value, "low": value - 0.01,
            "high": value + 0.01, "seconds": seconds, "images_per_second": 1e4 / seconds, "parameters": 1,
            "front": ["seconds", "images_per_second"] if i == 0 else []}


@pytest.mark.parametrize("count", [1, 2, 15, 40])
def test_names_of_near_equal_models_do_not_overlap(count):
    figure = draw_pareto([model(i, 0.97 + 1e-5 * i, 10 + 1e-3 * i) for i in range(count)], "roc_auc")
    png(figure)
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        texts = [matplotlib.text.Text.get_window_extent(text) for text in axes.texts]  # without the lines
        assert len(texts) == count
        assert all(not a.overlaps(b) for i, a in enumerate(texts) for b in texts[:i])
        assert all(box.x1 <= figure.bbox.width and box.y0 >= 0 and box.y1 <= figure.bbox.height for box in boxes)


def test_heights_are_moved_only_if_they_are_too_near():
    assert spread([0.1, 0.5, 0.9], 0.2) == [0.1, 0.5, 0.9]
    assert spread([0.5, 0.5], 0.25) == [0.5, 0.75]
    assert spread([1.0, 1.0], 0.25) == [0.75, 1.0]


def test_samples_and_examples_are_seeded_and_without_repetition():
    assert sample_indices(100, 20).tolist() == sample_indices(100, 20).tolist()
    assert len(set(sample_indices(100, 20).tolist())) == 20
    labels = np.array([0, 0, 0, 0, 2])
    rows = examples(labels, 3, 2, seed=5)
    assert [len(row) for row in rows] == [2, 0, 1]
    assert set(labels[rows[0]]) == {0}
    assert [row.tolist() for row in rows] == [row.tolist() for row in examples(labels, 3, 2, seed=5)]


def test_mosaic_places_images_by_row_and_column():
    images = np.stack([np.full((8, 8, 1), value, np.uint8) for value in (10, 20, 30)])
    picture = mosaic(images, [np.array([2, 0]), np.array([], int), np.array([1])], columns=2)
    assert picture.shape == (3 * 9 + 1, 2 * 9 + 1, 3)
    assert [picture[5, 5, 0], picture[5, 14, 0], picture[14, 5, 0], picture[23, 5, 0]] == [30, 10, 255, 20]


def test_names_are_shortened_in_the_middle_and_kept_drawable():
    assert shorten("cat", 10) == "cat"
    assert shorten("bearing_outer_ring_crack_3", 16) == "bearing_…crack_3"
    assert len(shorten("x" * 500, 20)) == 20
    assert shorten("two\nlines\x00", 20) == "two lines"
    assert shorten("\U0010ffff", 5) == "□"


# -- the figures ------------------------------------------------------------------------------------------


def test_every_plot_is_drawn_from_a_whole_run():
    plots = draw_all(material(*digits(), DIGITS))
    others = ("search_", "explore_", "runtime_")
    assert set(plots) == ALL == {name for name in PLOTS.names() if not name.startswith(others)} - COMPARED
    assert all(min(size(content)) > 300 for content in plots.values())
    for name in PLOTS.names():
        assert plot_named(name).title
        assert plot_named(name).caption.endswith(".")
    with pytest.raises(UnknownNameError, match="did you mean 'loss'"):
        plot_named("los")


def test_equal_material_gives_equal_bytes():
    made = material(*digits(40), DIGITS, epochs=2)
    assert draw_all(made) == draw_all(made)


def test_plots_without_data_are_left_out():
    assert draw_all(Material(classes=DIGITS)) == {}
    images, labels = digits(20)
    assert set(draw_all(Material(history(1), DIGITS))) == {"loss", "accuracy"}
    assert set(draw_all(Material(classes=DIGITS, samples=(images, labels)))) == {"samples"}
    certain = np.eye(10)[labels]
    drawn = set(draw_all(Material(classes=DIGITS, test=(images, labels, certain))))
    assert drawn == {"reliability", "roc", "precision_recall"}
    alone = np.zeros_like(labels)
    drawn = set(draw_all(Material(classes=DIGITS, test=(images, alone, np.eye(10)[alone]))))
    assert drawn == {"reliability"}
    nothing = (images[:0], labels[:0], certain[:0])
    assert draw_all(Material(classes=DIGITS, test=nothing, validation=nothing)) == {}


@pytest.mark.parametrize("records", [[], history(1), [{"epoch": 1, "loss": float("inf")}],
                                     [{"epoch": 1, "loss": 1.0}]])
def test_curves_are_drawn_from_no_epoch_one_epoch_and_infinite_loss(records):
    for quantity in ("loss", "accuracy"):
        assert size(png(draw_curve(curve(records, quantity), quantity, quantity)))[0] > 300


@pytest.mark.parametrize(("classes", "shape"), [(2, (8, 8, 1)), (100, (40, 24, 3))])
def test_few_and_many_classes_with_awkward_names_are_drawn_within_the_figure(classes, shape):
    long = (f"a very long class name, number {i}, " * 3 for i in range(98))
    names = ("$5_{bill}$ <script>", "猫🐱\x07", *long)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 300)
    images = rng.integers(0, 255, (300, *shape), dtype=np.uint8)
    made = material(images, labels, names[:classes], epochs=1)
    for name in ALL:
        figure = plot_named(name).draw(made)
        png(figure)
        bounds, tight = figure.bbox_inches, figure.get_tightbbox()
        assert tight.x0 >= 0, name
        assert tight.y0 >= 0, name
        assert tight.x1 <= bounds.width + ROUNDING, name
        assert tight.y1 <= bounds.height + ROUNDING, name


def test_class_grid_shows_every_class_within_the_figure():
    images, labels = digits()
    classes = (*DIGITS[:9], "nine with quite a long name of its own", "unseen")
    figure = class_grid(images, labels, classes, 10, seed=0)
    texts = [text.get_text() for text in figure.texts]
    assert f"zero  ({(labels == 0).sum():,})" in texts
    assert "unseen  (0)" in texts
    assert any(text.startswith("nine with") and "…" in text for text in texts)
    png(figure)
    assert figure.get_tightbbox().x0 >= 0
    assert png(figure) != png(class_grid(images, labels, classes, 10, seed=1))
    assert png(figure) == png(class_grid(images, labels, classes, 10, seed=0))


def test_class_grid_makes_large_images_small():
    images = np.zeros((3, 300, 200, 3), np.uint8)
    assert mosaic(images, [np.array([0, 1]), np.array([2])], 2).shape[0] < 250


def test_drawing_leaves_the_global_style_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw_all(Material(history(2), ("a", "b")))
    assert dict(matplotlib.rcParams) == before


# -- evaluation and comparison ----------------------------------------------------------------------------


def corrupted(accuracy: float) -> dict:
    return {"value": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05}


CORRUPTIONS = {"clean": corrupted(0.9), "corruptions": {
    "jpeg": {"title": "JPEG", "accuracy": [corrupted(v) for v in (.8, .7, .6, .5, .4)]},
    "contrast": {"title": "Contrast", "accuracy": [corrupted(v) for v in (.8, .6, .5, .3, .2)]}}}
POINTS = [
    {"model": "slow and good", "by": "accuracy", "value": .9, "low": .85, "high": .95, "seconds": 100.0,
     "images_per_second": 50.0, "front": ["seconds", "images_per_second"]},
    {"model": "beaten", "by": "accuracy", "value": .7, "low": None, "high": None, "seconds": 50.0,
     "images_per_second": 40.0, "front": []},
    {"model": "quick", "by": "accuracy", "value": .8, "low": .75, "high": .85, "seconds": 10.0,
     "images_per_second": None, "front": ["seconds"]},
]


def test_reliability_is_accuracy_by_bin_of_confidence():
    p = np.array([[.75, .25], [.75, .25], [.05, .95], [.05, .95]])
    data = reliability(np.array([0, 1, 1, 1]), p)
    assert data.confidence.tolist() == [.75, .95]
    assert data.accuracy.tolist() == [.5, 1]
    assert data.count.tolist() == [2, 2]
    assert (data.low < data.accuracy).all()
    empty = reliability(np.zeros(0, np.int64), np.zeros((0, 2)))
    assert len(empty.count) == 0
    assert size(png(draw_reliability(empty, "nothing")))[0] > 300


def test_the_reliability_diagram_shows_the_fitted_temperature():
    made = material(*digits(), DIGITS)
    plain = plot_named("reliability").draw(made)
    fitted = plot_named("reliability").draw(dataclasses.replace(made, calibration={"temperature": 1.5}))
    assert len(fitted.axes[0].containers) == len(plain.axes[0].containers) + 1


def test_accuracies_under_corruption_start_from_the_clean_one_most_harmful_first():
    titles, table = accuracies(CORRUPTIONS)
    assert titles == ["Contrast", "JPEG"]
    assert table.shape == (2, 6, 3)
    assert table[:, 0, 0].tolist() == [.9, .9]
    assert table[1, :, 0].tolist() == [.9, .8, .7, .6, .5, .4]
    assert accuracies({})[1].shape[0] == 0
    assert size(png(draw_accuracies(*accuracies({}))))[0] > 300
    assert set(draw_all(Material(corruptions=CORRUPTIONS))) == {"corruptions"}


def test_quality_against_cost_is_drawn_for_the_measured_costs():
    assert set(draw_all(Material(points=POINTS))) == {"pareto"}
    assert size(png(draw_pareto([], "accuracy")))[0] > 300


def test_a_forked_process_draws_as_well():
    drawn = draw_all(Material(history=history(3)))
    process = multiprocessing.get_context("fork").Process(target=draw_all, args=(Material(history=history(3)),))
    process.start()
    process.join(60)
    process.kill()
    assert (process.exitcode, list(drawn)) == (0, ["loss", "accuracy"])


def test_a_transparent_figure_keeps_its_transparency():
    figure = Figure(figsize=(2, 1))
    figure.patch.set_alpha(0.0)
    for content, mode in ((png(Figure(figsize=(2, 1))), "RGB"), (png(figure), "RGBA")):
        with Image.open(io.BytesIO(content)) as image:
            assert image.mode == mode
