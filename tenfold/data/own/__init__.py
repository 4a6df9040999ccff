"""Own images: each source lists its images as a `Listing`; `build` decodes them and makes the data set."""
