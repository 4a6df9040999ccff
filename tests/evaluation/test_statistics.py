"""Intervals and tests against scipy, closed forms and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import coverage
from tenfold.evaluation import statistics
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.weighted import Judged, running_sums


def test_resamples_draw_each_class_as_often_as_it_is_there():
    labels = np.array([0, 0, 0, 2, 2, 1])
    weights = np.concatenate(list(statistics.resamples(labels, 500)), axis=1)
    assert weights.shape == (6, 500)
    for label, count in ((0, 3), (1, 1), (2, 2)):
        assert (weights[labels == label].sum(axis=0) == count).all()
    assert weights[:3].mean() == pytest.approx(1, abs=0.1)
    assert stats.chisquare(np.bincount(weights[3].astype(int), minlength=3), [125, 250, 125]).pvalue > 0.001
    again = np.concatenate(list(statistics.resamples(labels, 500)), axis=1)
    other = np.concatenate(list(statistics.resamples(labels, 500, seed=1)), axis=1)
    assert (weights == again).all()
    assert (weights != other).any()


def test_blocks_do_not_change_their_number(monkeypatch):
    labels = np.arange(30) % 3
    monkeypatch.setattr(statistics, "BLOCK", 30 * 64)
    blocks = list(statistics.resamples(labels, 150))
    assert [block.shape for block in blocks] == [(30, 64), (30, 64), (30, 22)]


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000])
def test_running_sums_are_the_cumulative_sums(n, rng):
    values, order = rng.integers(0, 9, (n, 4)).astype(np.float32), rng.permutation(n)
    expected = np.concatenate([np.zeros((1, 4)), np.cumsum(values[order], axis=0)])
    np.testing.assert_array_equal(running_sums(values, order), expected)


def test_the_bootstrap_interval_of_a_mean_is_scipys(rng):
    labels, p = np.zeros(400, np.int64), rng.dirichlet([4, 2], 400)
    judged = Judged(labels, p)
    values, = statistics.bootstrap(judged, [metric("loss").function], 4000)
    ours = statistics.percentile_interval(values)
    theirs = stats.bootstrap((-np.log(p[:, 0]),), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert ours == pytest.approx((theirs.confidence_interval.low, theirs.confidence_interval.high), abs=0.01)


def test_wilson_is_scipys():
    for right, count in ((0, 10), (7, 10), (813, 1000), (1000, 1000)):
        theirs = stats.binomtest(right, count).proportion_ci(method="wilson")
        assert statistics.wilson(right / count, count) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


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


def test_a_difference_is_told_from_none(rng):
    noise = rng.normal(size=4000)
    interval, p = statistics.verdict(0.5 + 0.1 * rng.normal(size=4000))
    assert interval == pytest.approx((0.5 - 0.196, 0.5 + 0.196), abs=0.02)
    assert p == pytest.approx(2 / 4001)
    assert statistics.verdict(noise + 1)[1] == pytest.approx(
        2 * stats.norm.sf(1), abs=0.03)
    assert statistics.verdict(0 * noise) == ((0, 0), 1.0)
    assert statistics.verdict(0 * noise + 1)[1] == 2 / 4001
    undefined, p = statistics.verdict(np.full(10, np.nan))
    assert undefined is None
    assert math.isnan(p)


def test_what_resampling_adds_is_taken_back():
    values = np.array([0.2, 0.3, 0.4, 0.9])
    assert statistics.deflated(values, 0.25).tolist() == pytest.approx([0, 0.1, 0.2, 0.7])
    assert np.isnan(statistics.deflated(np.full(3, np.nan), 0.1)).all()


STILL = np.zeros(200_000)  # images that change nothing


def test_the_interval_over_seeds_alone_is_students(rng):
    for runs in (2, 3, 10):
        seeds = rng.normal(size=(runs, 1))
        found = statistics.percentile_interval(statistics.OverSeeds.of(seeds + STILL).draws([0]))
        expected = stats.t.interval(0.95, runs - 1, seeds.mean(), seeds.std(ddof=1) / runs**0.5)
        assert found == pytest.approx(expected, rel=0.05, abs=0.02)


def test_a_difference_over_seeds_alone_is_welchs(rng):
    first, second = rng.normal(1, 1, size=(4, 1)), rng.normal(0, 3, size=(3, 1))
    between = statistics.OverSeeds.of(first + STILL) - statistics.OverSeeds.of(second + STILL)
    welch = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    found, p = statistics.verdict(between.draws([0]))
    assert between.degrees == pytest.approx(welch.df)
    assert found == pytest.approx(tuple(welch.confidence_interval()), rel=0.05, abs=0.05)
    assert p == pytest.approx(welch.pvalue, abs=0.01)


def test_seeds_add_to_what_images_change(rng):
    examples = rng.normal(size=20_000)
    seeds = np.linspace(-1, 1, 30)[:, None]
    spread = statistics.OverSeeds.of(seeds + examples).draws([0])
    assert spread.var() == pytest.approx(1 + seeds.var(ddof=1) / 30 * 29 / 27, rel=0.05)
    one = statistics.OverSeeds.of(examples[None])
    assert (one.draws([0]) == examples).all()
    assert ((one - one).draws([0]) == 0).all()


def test_intervals_and_differences_hold_the_truth_in_95_of_100_data_sets():
    """500 simulated data sets, whose own luck is ± 1.9 points; `benchmarks.coverage` draws more."""
    found = coverage(sets=500, images=600, resamples=600, first=1000)
    for shares in found.values():
        assert shares == pytest.approx(dict.fromkeys(shares, 0.95), abs=0.02)
