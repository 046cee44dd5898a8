"""What the tables of a study show, in plain sentences that claim no more than the comparisons do."""

from __future__ import annotations

import numpy as np

from dans_core.names import METRICS
from dans_lab.study import tables
from dans_lab.study.convergence import FIGURES
from dans_lab.study.plan import VARIANT, Label
from dans_lab.study.tables import LEVEL, Comparison, Entry, Spread, Table

_NAMES = (VARIANT, "sampler", "decoder")
"""Axes whose values say what they are without the name of the axis."""


def findings(table: Table, seen: Table | None = None) -> list[str]:
    """What a table shows, a sentence or two for each column, then for all of it.

    `seen` is the same table over the test triplets whose entities train shows, where there are others.
    """
    found = [_column(table, column) for column in columns(table)]
    found += _counts(table)
    found += [] if seen is None else _seen(table, seen)
    if table.part.figure == "stability":
        found += [sentence for name in FIGURES if (sentence := _figure(table, name))]
    return found + _lost(table)


def columns(table: Table) -> list[tuple[Label, ...]]:
    """The columns in order: a value for each axis but that of the rows; one () where there is no other axis."""
    return list(dict.fromkeys(_column_of(table, entry.labels) for entry in table.entries))


def heading(table: Table, column: tuple[Label, ...]) -> str:
    """A column in words: "ComplEx"; "" where there is only one."""
    pairs = zip(table.part.columns, column, strict=True)
    return ", ".join(_named(axis.name, value) for axis, value in pairs)


def row_name(table: Table, value: Label) -> str:
    """A row in words: "DANS", "FiLM weight (λ) 1e-4"."""
    return _named(table.part.rows.name, value)


def figure_names(table: Table) -> list[str]:
    """The convergence figures that some run of the table has, in the order of `FIGURES`."""
    return [name for name in FIGURES if any(entry.figure(name) for entry in table.entries)]


def signed(number: float, digits: int = 3) -> str:
    """ "+0.012", "−0.004"; never a zero with a sign."""
    shown = f"{number:+.{digits}f}"
    return shown.replace("-", "−") if float(shown) else shown[1:]


def spread(found: Spread | None, digits: int = 3) -> str:
    """ "0.906 ± 0.008"; a dash for None."""
    if found is None:
        return "–"
    beside = "" if found.sd is None else f" ± {found.sd:.{digits}f}"
    return f"{found.mean:.{digits}f}{beside}".replace("-", "−")


def _named(axis: str, value: Label) -> str:
    shown = tables.label(axis, value)
    return shown if axis in _NAMES else f"{tables.title(axis)} {shown}"


def _column_of(table: Table, labels: dict[str, Label]) -> tuple[Label, ...]:
    return tuple(labels[axis.name] for axis in table.part.columns)


def _row(table: Table, of: Entry | Comparison) -> str:
    return row_name(table, of.labels[table.part.rows.name])


def _whole(table: Table, of: Entry | Comparison) -> str:
    column = heading(table, _column_of(table, of.labels))
    return f"{_row(table, of)} with {column}" if column else _row(table, of)


def _column(table: Table, column: tuple[Label, ...]) -> str:
    """The reference, the highest mean or the range, and which rows are better, worse or neither."""
    axis = table.part.rows.name
    entries = [entry for entry in table.entries if _column_of(table, entry.labels) == column]
    names = {entry.labels[axis]: tables.label(axis, entry.labels[axis]) for entry in entries}
    reference = names[table.part.reference]
    means = {
        entry.labels[axis]: each.mean for entry in entries if (each := entry.spread(table.metric)) is not None
    }
    beginning = ", ".join(
        filter(None, [heading(table, column), "" if axis in _NAMES else tables.title(axis)])
    )
    beginning += ": " if beginning else ""
    if table.part.reference not in means:
        return f"{beginning}{reference}, the reference, has no finished run, so nothing is compared."
    own = table.entry({**entries[0].labels, axis: table.part.reference})
    text = f"{beginning}{reference}, the reference, has a test {METRICS[table.metric]} of "
    text += spread(own.spread(table.metric))
    best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    if table.part.figure == "line" and len(means) > 1:
        text += f"; the means go from {means[worst]:.3f}, of {names[worst]}, to {means[best]:.3f}, of {names[best]}"
    elif best != table.part.reference:
        text += f"; the highest mean is {means[best]:.3f}, of {names[best]}"
    elif len(means) > 1:
        text += ", the highest mean"
    compared = [each for each in table.comparisons if _column_of(table, each.labels) == column]
    if not compared:
        return f"{text}. Nothing is compared with it."
    sides = {
        verdict: [
            f"{names[each.labels[axis]]} ({signed(each.difference)})"
            for each in compared
            if each.verdict == verdict
        ]
        for verdict in ("better", "worse", "cannot be told apart")
    }
    neither = ", ".join(sides.pop("cannot be told apart"))
    if not any(sides.values()):
        return f"{text}. None can be told apart from it: {neither}."
    said = [f"{verdict.capitalize()}: {', '.join(rows) or 'none'}." for verdict, rows in sides.items()]
    said += [f"Cannot be told apart: {neither}."] if neither else []
    return f"{text}. {' '.join(said)}"


def _counts(table: Table) -> list[str]:
    """How many comparisons say something, and how large a difference they could have seen."""
    compared = table.comparisons
    if not compared:
        return []
    of = {verdict: sum(each.verdict == verdict for each in compared) for verdict in ("better", "worse")}
    neither = len(compared) - sum(of.values())
    reference = row_name(table, table.part.reference)
    text = (
        f"{_times(len(compared), 'comparison')} with {reference}: {of['better']} better, {of['worse']} worse, "
        f"{neither} cannot be told apart, at {100 * LEVEL:g} % for all of them together (Holm)."
    )
    if alone := sum(each.p < LEVEL <= each.corrected for each in compared):
        text += f" {alone} more would count if {'it were' if alone == 1 else 'each were'} the only one."
    found = [text]
    reach = [(each.high - each.low) / 2 for each in compared]
    if np.isfinite(reach).all():
        width = f"{np.median(reach):.3f}"
        if len(reach) > 1:
            width += f" in the median ({min(reach):.3f} to {max(reach):.3f})"
        text = f"The 95 % intervals reach {width} to either side: a smaller difference would mostly go unseen here"
        more = ", and one that is to stand among all the others must be larger" if len(compared) > 1 else ""
        found.append(f"{text}{more}.")
    if any(each.seeds == 1 for each in compared):
        found.append(
            "Comparisons over a single seed speak of that seed alone; other seeds may well say something else."
        )
    return found


def _seen(table: Table, seen: Table) -> list[str]:
    """Whether the verdicts are the same over the seen triplets alone."""
    if not table.comparisons or not seen.comparisons:
        return []
    count = f"{seen.comparisons[0].queries // 2:,} seen test triplets"
    others = [
        f"{_whole(seen, own)} {own.verdict} ({signed(own.difference)}), not “{found.verdict}”"
        for found in table.comparisons
        if (own := seen.comparison(found.labels)) is not None and own.verdict != found.verdict
    ]
    if not others:
        return [f"Over the {count} alone the verdicts are the same."]
    return [f"Over the {count} alone the verdicts are the same but for: {'; '.join(others)}."]


def _figure(table: Table, name: str) -> str:
    """A convergence figure: from where to where it goes."""
    have = [(found.mean, entry) for entry in table.entries if (found := entry.figure(name)) is not None]
    if len(have) < 2:
        return ""
    (low, lowest), (high, highest) = (end(have, key=lambda pair: pair[0]) for end in (min, max))
    first, last = figure(name, low), figure(name, high)
    if first == last:
        return f"{FIGURES[name][0]}: {first} everywhere."
    ends = f"lowest {first}, with {_whole(table, lowest)}; highest {last}, with {_whole(table, highest)}"
    return f"{FIGURES[name][0]}: {ends}."


def figure(name: str, value: float) -> str:
    """A convergence figure as shown: shares in per cent, epochs whole."""
    if name == "epochs_to_level":
        return f"{value:.0f}"
    if name in ("collapse", "hardness", "false_negatives"):
        return f"{100 * value:.0f} %"
    return f"{value:.4f}".replace("-", "−") if name != "balance" else f"{value:.2f}".replace("-", "−")


def _lost(table: Table) -> list[str]:
    """Runs that diverged or are missing, and rows that could not be compared."""
    found = []
    if failed := [entry for entry in table.entries if entry.failed]:
        names = ", ".join(f"{_whole(table, entry)} ({len(entry.failed)})" for entry in failed)
        count = sum(len(entry.failed) for entry in failed)
        verb = "and is in no mean" if count == 1 else "and are in no mean"
        found.append(f"{_times(count, 'run')} diverged {verb}: {names}.")
    if missing := sum(entry.missing for entry in table.entries):
        found.append(
            f"{_times(missing, 'run')} of this table {'is' if missing == 1 else 'are'} not there yet."
        )
    rows = [entry for entry in table.entries if entry.labels[table.part.rows.name] != table.part.reference]
    if lacking := [entry for entry in rows if table.comparison(entry.labels) is None]:
        names = ", ".join(_whole(table, entry) for entry in lacking)
        found.append(f"Not compared, for want of a finished seed that the reference has too: {names}.")
    return found


def _times(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else noun + 's'}"
