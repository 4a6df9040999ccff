"""The disk: whole files and directories, locks, room, arrays that are filled bit by bit. It knows nothing of runs."""
