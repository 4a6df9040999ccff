"""`python -m tenfold.cli`: the `tenfold` command."""

from tenfold.cli import main

main()
