"""Run the command line with ``python -m serein``."""

from serein.cli import main

if __name__ == "__main__":
    main()
