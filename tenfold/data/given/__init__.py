"""Data given as Python values: arrays, lists, data sets of PyTorch or of Hugging Face, as a `Dataset`."""

from tenfold.data.given.image import kind_of
from tenfold.data.given.values import Data, dataset_of

__all__ = ["Data", "dataset_of", "kind_of"]
