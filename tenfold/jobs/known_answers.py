"""The answers to training images that a run's fit already knows."""

from __future__ import annotations

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.evaluation.answers import MOST, Answers, Kept
from tenfold.progress import Watcher
from tenfold.run import Run


def of_training(run: Run, dataset: Dataset, watcher: Watcher) -> Kept:
    """What a logistic regression says of its training images, from the features that it was fitted on.

    They are in the precision of the training, and cached. Empty for other runs, and for many images.
    """
    recipe, count = run.recipe(), len(dataset.train)
    if recipe.train.fit != "logistic-regression" or count > MOST:
        return {}
    from tenfold.runtimes.fast import fast
    from tenfold.training import frozen_features

    features = np.asarray(frozen_features(recipe, dataset, watcher).train.images[:count])
    return {"train": Answers(fast(run).of_features(features), features)}
