"""The kinds of findings, one file each; a file registers its kind."""
