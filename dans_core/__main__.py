"""The command line: `python -m dans_core COMMAND`; each command has `--help`."""

import sys

from dans_core.declared import import_registered
from dans_data.errors import InputError


def _main() -> int:
    try:
        # Before the commands, whose help lists the samplers.
        import_registered()
    except InputError as error:
        print("error:", error, file=sys.stderr)
        return 2
    from dans_lab.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(_main())
