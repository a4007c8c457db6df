"""Print the emotion of the samples, or of recordings: ``python -m serein.demo [RECORDING ...]``."""

import sys

from serein.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["predict", *(sys.argv[1:] or ["samples"])]
    main()
