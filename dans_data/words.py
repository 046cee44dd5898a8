"""Words that every floor shares: numbers and plurals, times and sizes, and text of unknown origin in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

# --- numbers ---------------------------------------------------------------------------------------------------


def count(number: int, one: str, many: str = "") -> str:
    """ "1 run", "1,200 runs", "2 entities"."""
    return f"{number:,} {plural(number, one, many)}"


def plural(number: float, one: str, many: str = "") -> str:
    """The noun or verb for so many; without `many`, "s" is added to the singular."""
    return one if number == 1 else many or f"{one}s"


def number(value: float | None, digits: int = 3) -> str:
    """ "0.012", "−0.004", never "−0.000"; a dash for None."""
    if value is None:
        return "–"
    shown = f"{value:.{digits}f}"
    return shown.replace("-", "−") if shown.strip("-0.") else shown.removeprefix("-")


def rough(value: float) -> str:
    """ "5.0", "81.3", "4,210": for what is no more exact than three digits."""
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def signed(value: float, digits: int = 3) -> str:
    """ "+0.012", "−0.004", "0.000"; never a zero with a sign."""
    shown = number(value, digits)
    return shown if shown[0] == "−" or not shown.strip("0.") else f"+{shown}"


def share(part: float, digits: int = 0) -> str:
    """ "31 %", of 0.31; a share that is not quite nothing is never shown as nothing.

    With one of the `digits`, "9.7 %" below ten per cent.
    """
    percent, least = 100 * part, 10**-digits
    if 0 < percent < (least if digits else least / 2):
        return f"under {least:g} %"
    return f"{percent:.{digits if percent < 10 else 0}f} %"


def p_value(p: float) -> str:
    """ "p = 0.031", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


# --- times and sizes -------------------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """A time for people: "12 s", "3 min 5 s", "2 h 4 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def seconds_in_words(seconds: float) -> str:
    """A time no more exact than it is known: "about 25 s", "about 4 minutes"."""
    if seconds < 1:
        return "about 1 s"
    if seconds < 10:
        return f"about {seconds:.0f} s"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"about {minutes:.0f} minutes"
    hours = minutes / 60
    return f"about {hours:.0f} hours" if hours < 36 else f"about {hours / 24:.0f} days"


def epoch_in_words(seconds: float) -> str:
    """The time of an epoch: "0.04 s", "13 s", "about 3 minutes"."""
    if seconds >= 90:
        return seconds_in_words(seconds)
    return f"{seconds:.0f} s" if seconds >= 9.5 else f"{float(f'{seconds:.1g}'):g} s"


def megabytes(count: float) -> str:
    """A size to be compared with others: "3.4 MB"."""
    return f"{count / 1e6:,.1f} MB"


def bytes_in_words(count: float) -> str:
    """A size no more exact than it is known: "6 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.95 * factor:
            value = count / factor
            return f"{value:.1f} {unit}" if value < 3 and unit == "GB" else f"{value:.0f} {unit}"
    return "1 kB"


# --- text of unknown origin ------------------------------------------------------------------------------------

_JOINERS = "\u200c\u200d"
"""Not printable by themselves, but part of words in Persian and Hindi, and of many emoji."""


def visible_text(text: str, lines: bool = False) -> str:
    """Text without what no one can see or what turns a line round: control and format characters.

    It becomes one line, or keeps its `lines`, without space at its ends.
    """
    spaced = text.splitlines() if lines else [text]
    kept = ["".join(_visible(c) for c in line) for line in spaced]
    whole = "\n".join(line.rstrip() for line in kept).strip() if lines else " ".join(kept[0].split())
    return whole if whole.strip(_JOINERS + " \n") else ""


def _visible(character: str) -> str:
    """A character as it may stand in a name: any space is a blank, and what cannot be seen is nothing."""
    if character.isspace():
        return " "
    return character if character.isprintable() or character in _JOINERS else ""
