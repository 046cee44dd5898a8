"""Where the command line begins: samplers of a person's own are made known before the commands list them."""

from __future__ import annotations

import sys

from dans_core.declared import import_registered
from dans_data.errors import InputError


def dans() -> int:
    """The installed command `dans`: alone it opens the app; its exit code."""
    if len(sys.argv) == 1:
        sys.argv.append("app")
    return main()


def main() -> int:
    """Run the command that was asked for; its exit code."""
    try:
        import_registered()
    except InputError as error:
        print("error:", error, file=sys.stderr)
        return 2
    from dans_lab import cli

    return cli.main()
