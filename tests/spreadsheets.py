"""Reading back what was written for a spreadsheet."""

from __future__ import annotations

from dans_lab.export.spreadsheet import spreadsheet_text


def original_text(cell: str) -> str:
    """What `spreadsheet_text` was given: a ' in front is its own where it would have put one."""
    return cell[1:] if cell.startswith("'") and spreadsheet_text(cell[1:]) == cell else cell
