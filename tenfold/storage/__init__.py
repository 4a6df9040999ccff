"""Storage: atomic files and directories, locks, free space, resumable arrays. It does not know about runs."""
