"""The real data sets, where they are: what a test needs that is on one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dans_data import DATA_DIR_VARIABLE, SPLITS

# As the tests began: single tests take the variable away.
_DATA_DIR = os.environ.get(DATA_DIR_VARIABLE)


def real_folder(name: str) -> Path | None:
    """The folder of a real data set, or None where it is not on this machine."""
    folder = Path(_DATA_DIR).expanduser() / name if _DATA_DIR else None
    whole = folder is not None and all((folder / f"{split}.txt").is_file() for split in SPLITS)
    return folder if whole else None


def needs_data(name: str) -> pytest.MarkDecorator:
    """Marks a test that reads this data set by its name; elsewhere it is skipped with the reason."""
    return pytest.mark.skipif(
        real_folder(name) is None, reason=f"{DATA_DIR_VARIABLE} names no folder with {name}"
    )
