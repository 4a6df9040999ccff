"""Data given as Python values: `values` makes a `Dataset` of labelled images, `image` reads one image."""
