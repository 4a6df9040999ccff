"""`python -m tenfold`: the command."""

from tenfold.cli import main

if __name__ == "__main__":
    main()
