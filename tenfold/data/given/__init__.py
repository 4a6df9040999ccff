"""Data given as Python values: arrays, lists, data sets of PyTorch or of Hugging Face, as a `Dataset`."""

from tenfold.data.given.image import each_image, kind_of, read
from tenfold.data.given.values import Data, dataset_of

__all__ = ["Data", "dataset_of", "each_image", "kind_of", "read"]
