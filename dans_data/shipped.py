"""Where the files lie that ship beside the code: entry, pages, bundled data, recorded runs, lessons, studies."""

from __future__ import annotations

from pathlib import Path

_CODE = Path(__file__).resolve().parent

TOP = _CODE / "shipped" if (_CODE / "shipped").is_dir() else _CODE.parent
"""The folder of app.py, pages, assets, docs and results: the checkout, or a folder in this package once installed."""
