"""Decision rules: prediction sets, answers accurate enough to accept, images that are none of the classes."""
