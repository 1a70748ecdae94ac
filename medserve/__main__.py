"""`python -m medserve`: the `medserve` command."""

import sys

from medserve.cli import main

if __name__ == "__main__":
    sys.exit(main())
