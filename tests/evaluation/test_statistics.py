"""Intervals and tests against scipy, closed forms and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import coverage, coverage_over_seeds
from tenfold.evaluation import statistics
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.weighted import Predictions


def test_resamples_keep_the_number_of_images_of_each_class():
    labels = np.tile([0, 1, 0], 10)
    weights = np.concatenate(list(statistics.resamples(labels, 500)), axis=1)
    assert weights.shape == (30, 500)
    for label, count in ((0, 20), (1, 10)):
        assert (weights[labels == label].sum(axis=0) == count).all()
    assert weights[:3].mean() == pytest.approx(1, abs=0.1)
    of_ten = stats.binom(10, 0.1).pmf(np.arange(4))
    drawn = np.bincount(np.minimum(weights[1].astype(int), 3), minlength=4)
    assert stats.chisquare(drawn, 500 * np.append(of_ten[:3], 1 - of_ten[:3].sum())).pvalue > 0.001
    again = np.concatenate(list(statistics.resamples(labels, 500)), axis=1)
    other = np.concatenate(list(statistics.resamples(labels, 500, seed=1)), axis=1)
    assert (weights == again).all()
    assert (weights != other).any()


def test_small_classes_are_resampled_together():
    labels = np.repeat([0, 1, 2, 3], [1, 3, 8, 20])
    weights = np.concatenate(list(statistics.resamples(labels, 500)), axis=1)
    assert (weights[labels == 3].sum(axis=0) == 20).all()
    assert (weights[labels < 3].sum(axis=0) == 12).all()
    assert set(weights[0]) >= {0, 1, 2}
    alone = np.concatenate(list(statistics.resamples(np.array([0] * 12 + [1]), 500)), axis=1)
    assert (alone.sum(axis=0) == 13).all()
    assert alone[12].std() > 0.5
    ten = np.concatenate(list(statistics.resamples(np.arange(10), 2000)), axis=1)
    values = np.arange(10) @ ten / 10
    assert values.std() == pytest.approx(np.arange(10).std() / 10**0.5, rel=0.1)


def test_very_many_probabilities_get_fewer_resamples():
    assert statistics.enough(10_000, 10) == statistics.enough(1, 2) == statistics.enough(0, 0) == 2000
    assert statistics.enough(10_000, 1000) == 400
    assert statistics.enough(1_000_000, 1000) == 200


def test_blocks_do_not_change_the_number_of_resamples(monkeypatch):
    labels = np.arange(30) % 3
    monkeypatch.setattr(statistics, "WEIGHTS_PER_BLOCK", 30 * 64)
    blocks = list(statistics.resamples(labels, 150))
    assert [block.shape for block in blocks] == [(30, 64), (30, 64), (30, 22)]


def test_the_results_do_not_depend_on_the_number_of_threads(monkeypatch, rng):
    judged = Predictions(rng.integers(0, 3, 200), rng.dirichlet([1, 1, 1], 200))
    measures = [metric(name).function for name in ("roc_auc", "ece", "f1_macro", "average_precision")]
    found = []
    for threads in "12":
        monkeypatch.setenv("TENFOLD_THREADS", threads)
        found.append(statistics.bootstrap(judged, measures, 250))
    np.testing.assert_array_equal(found[0], found[1])
    assert np.array(found).shape == (2, 4, 250)


@pytest.mark.parametrize("right", [0, 1, 7, 12])
def test_wilsons_interval_is_scipys(right):
    theirs = stats.binomtest(right, 12).proportion_ci(0.95, method="wilson")
    assert statistics.wilson(right, 12) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_the_bootstrap_interval_of_a_mean_is_scipys(rng):
    labels, p = np.zeros(400, np.int64), rng.dirichlet([4, 2], 400)
    predictions = Predictions(labels, p)
    values, = statistics.bootstrap(predictions, [metric("loss").function], 4000)
    ours = statistics.percentile_interval(values)
    theirs = stats.bootstrap((-np.log(p[:, 0]),), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert ours == pytest.approx((theirs.confidence_interval.low, theirs.confidence_interval.high), abs=0.01)


def test_stretched_percentiles_of_a_mean_are_about_as_wide_as_students_interval(rng):
    for images in (5, 10, 100):
        sample = rng.normal(size=images)
        mean = float(sample.mean())
        means = sample[rng.integers(0, images, (20_000, images))].mean(axis=1)
        low, high = statistics.percentile_interval(statistics.stretched(means, mean, images))
        student = stats.t.interval(0.95, images - 1, mean, sample.std(ddof=1) / math.sqrt(images))
        assert high - low == pytest.approx(student[1] - student[0], rel=0.3 if images < 10 else 0.1)
        assert statistics.stretched(means, mean, 1) is means


def test_a_single_image_has_no_resamples():
    predictions = Predictions(np.array([1]), np.array([[.1, .2, .7]]))
    values, areas = statistics.bootstrap(predictions, [metric("loss").function, lambda x: x.areas], 200)
    assert (values.shape, areas.shape) == ((200,), (3, 200))
    assert np.isnan(values).all()
    assert statistics.percentile_interval(values) is None


def test_equal_resamples_are_not_certain():
    equal = np.ones(500)
    theirs = stats.binomtest(40, 40).proportion_ci(0.95, method="wilson")
    assert statistics.Fraction(1.0, 40, 0).interval(equal) == pytest.approx((theirs.low, 1.0), abs=1e-4)
    assert statistics.Fraction(0.0, 40, 0).interval(1 - equal) == pytest.approx((0.0, 1 - theirs.low), abs=1e-4)
    hidden = statistics.Fraction(1.0, 40, 0).hidden
    assert hidden == pytest.approx(1 - theirs.low)  # Tango's bounds of a difference of 0 are z² / (n + z²)
    assert statistics.verdict(equal - equal, hidden) == (pytest.approx((-hidden, hidden)), 1.0)
    assert statistics.Fraction(1.0, 40, 0, least=-1.0).hidden == pytest.approx(2 * hidden)
    spread = np.linspace(0.9, 1, 500)
    assert statistics.percentile_interval(spread, hidden) == statistics.percentile_interval(spread)


@pytest.mark.parametrize("right", [1, 30, 60, 119])
def test_the_score_interval_of_a_fraction_is_wilsons(right):
    """The bootstrap has the binomial variance, so its effective number of images is the number of images."""
    labels = np.zeros(120, np.int64)
    p = np.where(np.arange(120) < right, 0.9, 0.1)
    values, = statistics.bootstrap(Predictions(labels, np.stack([p, 1 - p], 1)), [metric("accuracy").function], 20_000)
    assert statistics.Fraction(right / 120, 120, 120 - right).interval(values) == \
        pytest.approx(statistics.wilson(right, 120), abs=0.001)


def test_an_area_that_is_nearly_perfect_is_no_less_certain_than_a_perfect_one():
    """Its resamples hardly differ; with each error, more is known of what errors do to it."""
    values = 1 - 1e-7 * np.arange(500) / 500
    lows = [statistics.Fraction(1 - 1e-7, 1000, rarer).interval(values)[0] for rarer in (0, 1, 3)]
    perfect, _ = statistics.Fraction(1.0, 1000, 0).interval(np.ones(500))
    assert lows[0] == pytest.approx(perfect, abs=1e-6)
    np.testing.assert_allclose(1 - np.array(lows), (1 - perfect) / np.array([1, 2, 4]), rtol=0.01)


def test_an_area_of_many_images_keeps_the_width_of_its_resamples(rng):
    """It is more precise than a fraction of the images: of the order of all pairs."""
    values = rng.normal(0.999, 1e-4, 2000)
    low, high = statistics.Fraction(0.999, 10_000, 400).interval(values)
    assert (low, high) == pytest.approx(statistics.percentile_interval(values), abs=5e-5)


def test_only_means_over_classes_depend_on_their_smallest_class():
    labels = np.repeat([0, 1], [590, 10])
    perfect = [Predictions(labels, np.eye(2)[labels])]
    images = {name: metric(name).as_fraction(1.0, perfect).images
              for name in ("accuracy", "cohen_kappa", "matthews", "recall_macro", "roc_auc")}
    few = pytest.approx(4 / (1 / 590 + 1 / 10))
    assert images == {"accuracy": 600, "cohen_kappa": 600, "matthews": 600, "recall_macro": few, "roc_auc": few}
    assert metric("loss").as_fraction(1.0, perfect) is None


def test_a_class_without_errors_hides_the_variance_of_jeffreys_posterior():
    hidden = statistics.unseen_variance(np.array([50, 9, 0, 40]), np.array([3, 0, 0, 0]))
    assert hidden == pytest.approx((stats.beta(0.5, 9.5).var() + stats.beta(0.5, 40.5).var()) / 9, rel=0.2)
    assert statistics.unseen_variance(np.array([50, 9]), np.array([3, 1])) == 0


def test_a_mean_over_seeds_has_the_interval_around_its_value():
    """Resamples of F1 are lower than F1, on average; the interval is that of the value."""
    values = np.linspace(0.5, 0.6, 999)[None]
    of_value = statistics.OverSeeds.of(values, np.array([0.6]), statistics.Fraction(0.6, 100, 40)).uncertain.interval()
    of_mean = statistics.OverSeeds.of(values, np.array([0.6]), statistics.Fraction(0.55, 100, 40)).uncertain.interval()
    assert of_value[0] > of_mean[0] + 0.04
    assert of_value[0] < 0.6 < of_value[1]


def test_intervals_of_hardly_any_errors_contain_the_true_value():
    """Percentiles alone contain the area under the ROC curve in 85 of 100 of these data sets."""
    found = coverage(400, 60, 200, skills=(3.0, 3.5))["value"]
    fractions = {name: value for name, value in found.items() if metric(name).like_fraction}
    assert min(fractions.values()) > 0.92, fractions


def test_undefined_resamples_have_no_score_interval():
    values = np.where(np.arange(100) < 10, np.nan, 0.5)
    assert statistics.Fraction(0.5, 10, 5).interval(values) is None
    assert statistics.Fraction(1.0, 1, 0).interval(np.full(100, np.nan)) is None


def test_a_mean_over_classes_is_as_precise_as_its_smallest_classes_allow():
    """The variance of a mean over k classes of fractions p is p (1 - p) Σ 1/count / k²."""
    assert statistics.in_equal_classes(np.array([100, 4, 0, 20])) == pytest.approx(9 / (1 / 100 + 1 / 4 + 1 / 20))
    assert statistics.in_equal_classes(np.array([40, 0, 40])) == 80
    assert statistics.in_equal_classes(np.zeros(3, int)) == 0


def test_wilson_is_scipys():
    for right, count in ((0, 10), (7, 10), (813, 1000), (1000, 1000)):
        theirs = stats.binomtest(right, count).proportion_ci(method="wilson")
        assert statistics.wilson(right, count) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
        # Wilson (1927), written out.
        p, z = right / count, stats.norm.ppf(0.975)
        centre, scale = p + z**2 / (2 * count), 1 + z**2 / count
        half = z * math.sqrt(p * (1 - p) / count + (z / (2 * count)) ** 2)
        assert statistics.wilson(right, count) == pytest.approx(
            (max((centre - half) / scale, 0), (centre + half) / scale), abs=1e-12)


def test_mcnemar_is_the_exact_binomial_test_of_the_images_on_which_one_is_right():
    both, first, second, none = (np.tile(pair, (n, 1)) for pair, n in
                                 (((True, True), 50), ((True, False), 12), ((False, True), 4), ((False, False), 9)))
    a, b = np.concatenate([both, first, second, none]).T
    # statsmodels 0.15, mcnemar([[50, 12], [4, 9]], exact=True): 0.076812744140625
    assert statistics.mcnemar(a, b) == pytest.approx(0.076812744140625, rel=1e-12)
    assert statistics.mcnemar(a, b) == statistics.mcnemar(b, a)
    assert statistics.mcnemar(a, a) == 1.0


def test_holm_adjusts_step_by_step():
    # statsmodels 0.15, multipletests(…, method="holm"): 0.05, 0.06, 0.06, 0.025, 0.06
    assert statistics.holm([0.0125, 0.03, 0.02, 0.005, 0.04]) == pytest.approx([0.05, 0.06, 0.06, 0.025, 0.06])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []
    adjusted = statistics.holm([0.01, math.nan, 0.02])
    assert adjusted[::2] == pytest.approx([0.02, 0.02])
    assert math.isnan(adjusted[1])


def test_the_test_tells_a_difference_from_none(rng):
    noise = rng.normal(size=4000)
    interval, p = statistics.verdict(0.5 + 0.1 * rng.normal(size=4000))
    assert interval == pytest.approx((0.5 - 0.196, 0.5 + 0.196), abs=0.02)
    assert p == pytest.approx(2 * stats.norm.sf(5), rel=0.5)
    assert statistics.verdict(noise + 1)[1] == pytest.approx(
        2 * stats.norm.sf(1), abs=0.03)
    assert statistics.verdict(0 * noise) == ((0, 0), 1.0)
    assert statistics.verdict(0 * noise + 1)[1] == 2 / 4001
    undefined, p = statistics.verdict(np.full(10, np.nan))
    assert undefined is None
    assert math.isnan(p)


def test_deflation_removes_the_bias_of_resampling():
    values = np.array([0.2, 0.3, 0.4, 0.9])
    assert statistics.deflated(values, 0.25).tolist() == pytest.approx([0, 0.1, 0.2, 0.7])
    assert np.isnan(statistics.deflated(np.full(3, np.nan), 0.1)).all()


STILL = np.zeros(2000)  # images that change nothing


def over_seeds(values):
    """Of runs float64 [n, 1] that no image changes."""
    return statistics.OverSeeds.of(values + STILL, values[:, 0])


def test_the_interval_over_seeds_is_students_if_images_do_not_matter(rng):
    for runs in (2, 3, 10):
        seeds = rng.normal(size=(runs, 1))
        expected = stats.t.interval(0.95, runs - 1, seeds.mean(), seeds.std(ddof=1) / runs**0.5)
        assert over_seeds(seeds).uncertain.interval() == pytest.approx(expected, rel=1e-5)


def test_a_difference_over_seeds_is_welchs_if_images_do_not_matter(rng):
    first, second = rng.normal(1, 1, size=(4, 1)), rng.normal(0, 3, size=(3, 1))
    between = over_seeds(first).minus(over_seeds(second))
    welch = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    found, p = between.verdict()
    assert between.degrees == pytest.approx(welch.df)
    assert found == pytest.approx(tuple(welch.confidence_interval()), rel=1e-5)
    assert p == pytest.approx(welch.pvalue, rel=1e-6)


def test_a_single_run_gets_the_variance_of_the_other_recipe(rng):
    one, several = np.array([[2.0]]), rng.normal(size=(5, 1))
    # Student's test of one new observation against a sample of five.
    error = several.std(ddof=1) * (1 + 1 / 5) ** 0.5
    expected = stats.t.interval(0.95, 4, 2 - several.mean(), error)
    expected_p = 2 * stats.t.sf(abs(2 - several.mean()) / error, 4)
    for between, sign in ((over_seeds(one).minus(over_seeds(several)), 1),
                          (over_seeds(several).minus(over_seeds(one)), -1)):
        found, p = between.verdict()
        assert p == pytest.approx(expected_p, rel=1e-6)
        assert sorted(sign * end for end in found) == pytest.approx(expected, rel=1e-5)


def test_variation_caused_by_the_test_images_is_counted_once(rng):
    """Runs whose seeds differ by 0.3 see the same images (sd 1) with luck of their own (sd 0.5)."""
    shared, own = rng.normal(size=4000), 0.5 * rng.normal(size=(40, 4000))
    seeds, luck = 0.3 * rng.normal(size=(40, 1)), 0.5 * rng.normal(size=(40, 1))
    measured = statistics.OverSeeds.of(seeds + luck + shared + own, (seeds + luck)[:, 0])
    assert measured.run_variance == pytest.approx((seeds + luck).var(ddof=1) - 0.25, abs=0.01)
    low, high = measured.uncertain.interval()
    expected = (1 + (0.25 + measured.run_variance) / 40) ** 0.5 * 2 * stats.norm.ppf(0.975)
    assert high - low == pytest.approx(expected, rel=0.05)
    alone = statistics.OverSeeds.of(shared[None], np.zeros(1))
    assert alone.uncertain.interval() == statistics.percentile_interval(shared)
    assert alone.minus(alone).verdict() == ((0, 0), 1.0)


def test_intervals_contain_the_true_value_in_95_of_100_data_sets():
    """1,000 simulated data sets, whose own luck is ± 1.4 points; `benchmarks.coverage` draws more."""
    for shares in coverage(sets=1000, images=600, resamples=300).values():
        assert shares == pytest.approx(dict.fromkeys(shares, 0.95), abs=0.02)


def test_intervals_over_seeds_contain_the_true_value_in_95_of_100_data_sets():
    """300 simulated data sets, whose own luck is ± 2.5 points."""
    found = coverage_over_seeds(sets=300, images=300, resamples=200, metrics=("accuracy", "roc_auc", "loss"))
    for shares in found.values():
        assert shares == pytest.approx(dict.fromkeys(shares, 0.95), abs=0.025)


@pytest.mark.parametrize("changed", [0, 1])
def test_a_change_of_hardly_any_answer_is_less_certain_than_it_looks(changed: int) -> None:
    labels, before = np.zeros(300, int), np.tile([0.4, 0.6], (300, 1))
    after = before.copy()
    after[:changed] = [0.6, 0.4]
    change, (low, high) = statistics.accuracy_change(labels, before, after)
    assert change == pytest.approx(100 * changed / 300)
    assert low < -0.5 < 0.5 < high
