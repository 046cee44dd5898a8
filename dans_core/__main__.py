"""The command line: `python -m dans_core COMMAND`; each command has `--help`."""

import sys

from dans_lab.start import main

if __name__ == "__main__":
    sys.exit(main())
