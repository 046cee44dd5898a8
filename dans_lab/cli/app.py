"""`app`: the app in a browser, from wherever one stands."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence

import typer

from dans_data.shipped import TOP


def app(context: typer.Context) -> None:
    """Open the app in a browser; runs are kept in ./runs, or in DANS_RUNS_DIR.

    What follows is for Streamlit, such as --server.port 8600.
    """
    start(context.args)


def start(options: Sequence[str]) -> None:
    """Run the server until it is ended, with these options of Streamlit's."""
    # The same as by a person's `streamlit run app.py`; this floor imports no part of Streamlit.
    sys.argv = ["streamlit", "run", str(TOP / "app.py"), *options]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
