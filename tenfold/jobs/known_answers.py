"""The answers to training images that a run's fit already knows."""

from __future__ import annotations

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.errors import TenfoldError
from tenfold.evaluation.answers import MOST, Answers, Kept
from tenfold.progress import Watcher
from tenfold.run import Run


def of_training(run: Run, dataset: Dataset, watcher: Watcher) -> Kept:
    """What a logistic regression says of its training images, from the features that it was fitted on.

    They are in the precision of the training, and cached. Empty for other runs, for many images, and if the backbone is
    gone or another one by now.
    """
    recipe, count = run.recipe(), len(dataset.train)
    if recipe.train.fit != "logistic-regression" or count > MOST:
        return {}
    from tenfold.models import origin
    from tenfold.runtimes.fast import fast
    from tenfold.training import frozen_features

    try:
        if origin(recipe.model).get("pretrained") != run.environment().get("pretrained"):
            return {}
        features = np.asarray(frozen_features(recipe, dataset, watcher).train.images[:count])
    except TenfoldError:  # all is computed again
        return {}
    return {"train": Answers(fast(run).of_features(features), features)}
