"""``python -m camlip``: the command ``camlip``."""

import sys

from camlip.cli import main

if __name__ == "__main__":
    sys.exit(main())
