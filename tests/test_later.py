"""Stand-ins for modules: nothing is imported before it is used, and afterwards everything is the real thing."""

from __future__ import annotations

from test_backend import printed


def test_a_logistic_regression_needs_neither_pandas_nor_the_statistics_of_scipy() -> None:
    program = ("import sys; from tenfold.later import importing_sklearn\n"
               "with importing_sklearn():\n"
               "    from sklearn.linear_model import LogisticRegression\n"
               "fitted = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])\n"
               "print(*fitted.predict([[0.5], [2.5]]), *{'pandas', 'scipy.stats'} & set(sys.modules))")
    assert printed(program) == ["0", "1"]


def test_functions_and_objects_that_were_imported_from_a_stand_in_work() -> None:
    program = ("import sys; from tenfold.later import importing_sklearn\n"
               "with importing_sklearn():\n"
               "    from scipy.stats import chi2, rankdata\n"
               "print('scipy.stats' in sys.modules, *rankdata([3, 1, 2]), round(chi2.cdf(1.0, 1), 3))\n"
               "import scipy.stats; print(scipy.stats.norm.cdf(0.0), type(sys.modules['scipy.stats']).__name__)")
    assert printed(program) == ["False", "3.0", "1.0", "2.0", "0.683", "0.5", "module"]
