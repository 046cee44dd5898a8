"""How a study is told: the names of its rows and columns, its figures, and what its tables show, in sentences.

The report and the Studies screen say the same; each makes foreign names in a sentence safe in its own way.
"""

from __future__ import annotations

from collections.abc import Iterable

from dans_data import words
from dans_data.words import count, plural, signed
from dans_lab.halves import HALVES
from dans_lab.names import METRICS
from dans_lab.standing import ABOUT, RISING, Withheld
from dans_lab.study import tables
from dans_lab.study.convergence import FIGURES
from dans_lab.study.findings import (
    AgainstReference,
    DivergedRuns,
    FigureRange,
    Finding,
    IntervalReach,
    MissingRuns,
    NearFloor,
    NotCompared,
    OverSeen,
    SingleSeed,
    StillRising,
    VerdictCounts,
    findings,
)
from dans_lab.study.plan import VARIANT, Label
from dans_lab.study.tables import SIGNIFICANT, Column, Comparison, ResultCell, ResultTable, Spread, Verdict

MARKS: dict[Verdict, str] = {
    "better": "▲",
    "worse": "▼",
    "cannot be told apart": "○",
    "near the floor": "◌",
    "still rising": "◌",
}

_NAMES = (VARIANT, "sampler", "decoder")
"""Axes whose values say what they are without the name of the axis."""

_COMPARED = (
    "± is the standard deviation over seeds. Comparisons are paired by seed and by test triplet; their 95 % intervals "
    "speak of new seeds and new triplets (two-way bootstrap in closed form, with Student's t since seeds are few), and "
    "Holm p is corrected for all comparisons of the table."
)
_COMPARED_ONCE = (
    "Comparisons are paired by test triplet; with a single seed their 95 % intervals speak of new triplets, and not of "
    "new seeds (Student's t). Holm p is corrected for all comparisons of the table."
)

# --- names and figures -----------------------------------------------------------------------------------------


def heading(table: ResultTable, column: Column) -> str:
    """A column in words: "ComplEx"; "" where there is only one."""
    pairs = zip(table.part.columns, column, strict=True)
    return ", ".join(_named(axis.name, value) for axis, value in pairs)


def row_name(table: ResultTable, value: Label) -> str:
    """A row in words: "DANS", "FiLM weight (λ) 1e-4"."""
    return _named(table.part.rows.name, value)


def spread(found: Spread | None, digits: int = 3) -> str:
    """ "0.906 ± 0.008"; a dash for None."""
    if found is None:
        return "–"
    beside = "" if found.sd is None else f" ± {words.number(found.sd, digits)}"
    return f"{words.number(found.mean, digits)}{beside}"


def figure(name: str, value: float) -> str:
    """A convergence figure as shown: shares in per cent, epochs whole."""
    if name == "epochs_to_level":
        return f"{value:.0f}"
    if name in ("collapse", "hardness", "false_negatives"):
        return f"{100 * value:.0f} %"
    return words.number(value, 2 if name == "balance" else 4)


def strata(marks: str) -> dict[int, str]:
    """The strata that `StudyRecord.halves` has, by their number of halves, in words: "both halves, 95 %"."""
    return {
        number: f"{HALVES[number]}, {100 * marks.count(str(number)) / len(marks):.0f} %"
        for number in (2, 1, 0)
        if str(number) in marks
    }


def compared(seeds: int) -> str:
    """What ± and the comparisons of a study with so many seeds mean."""
    return _COMPARED if seeds > 1 else _COMPARED_ONCE


def marks(reference: str, some: Iterable[Comparison] = ()) -> str:
    """What the marks of a table with these comparisons mean."""
    text = f"{MARKS['better']} better and {MARKS['worse']} worse than {reference}, Holm p < {SIGNIFICANT:g}."
    why = dict.fromkeys(each.withheld for each in some if each.withheld is not None)
    said = [f"{MARKS[each]} no verdict, {each}: {ABOUT[each]}." for each in why]
    return " ".join([text, *said])


def verdict(found: Comparison) -> str:
    """What a comparison says: "better", or "no verdict, still rising"."""
    return found.verdict if found.withheld is None else f"no verdict, {found.withheld}"


def _named(axis: str, value: Label) -> str:
    shown = tables.label(axis, value)
    return shown if axis in _NAMES else f"{tables.title(axis)} {shown}"


def _places(table: ResultTable, entries: Iterable[ResultCell]) -> str:
    return ", ".join(_place(table, entry) for entry in entries)


def _place(table: ResultTable, of: ResultCell | Comparison) -> str:
    """A cell in words: "Uniform with ComplEx"."""
    row, column = row_name(table, of.labels[table.part.rows.name]), heading(table, table.column_of(of.labels))
    return f"{row} with {column}" if column else row


# --- what the tables show --------------------------------------------------------------------------------------


def sentences(table: ResultTable, seen: ResultTable | None = None) -> list[str]:
    """The findings of a table, each in a sentence or two; `seen` as in `findings`."""
    return [sentence(table, finding) for finding in findings(table, seen)]


def sentence(table: ResultTable, finding: Finding) -> str:
    """A finding of this table in a sentence or two; names in it are from the study's file, and may hold anything."""
    match finding:
        case AgainstReference():
            return _against_reference(table, finding)
        case VerdictCounts():
            return _verdict_counts(table, finding)
        case IntervalReach():
            return _reach(finding)
        case SingleSeed():
            return "Comparisons over a single seed speak of that seed alone; other seeds may well say something else."
        case NearFloor(entries, floor):
            shown = f"{METRICS[table.metric]} {words.number(floor)}"
            return f"Near the popularity floor ({shown}), which knows nothing: {_places(table, entries)}."
        case StillRising(entries):
            return (
                f"Still rising at their end, with more than {100 * RISING:g} % of the best valid MRR gained in the "
                f"last quarter of the epochs: {_places(table, entries)}. More epochs would change these figures."
            )
        case OverSeen():
            return _over_seen(table, finding)
        case FigureRange():
            return _range(table, finding)
        case DivergedRuns():
            return _diverged(table, finding)
        case MissingRuns(number):
            return f"{count(number, 'run')} of this table {plural(number, 'is', 'are')} not there yet."
        case NotCompared(entries):
            names = ", ".join(_place(table, entry) for entry in entries)
            return f"Not compared, for want of a finished seed that the reference has too: {names}."


def _against_reference(table: ResultTable, found: AgainstReference) -> str:
    """The reference, the highest mean or the range, and which rows are better, worse or neither."""
    axis = table.part.rows.name
    titles = [heading(table, found.column), "" if axis in _NAMES else tables.title(axis)]
    beginning = ", ".join(filter(None, titles))
    beginning += ": " if beginning else ""
    reference = tables.label(axis, table.part.reference)
    if found.reference is None:
        return f"{beginning}{reference}, the reference, has no finished run, so nothing is compared."
    text = f"{beginning}{reference}, the reference, has a test {METRICS[table.metric]} of "
    text += f"{spread(found.reference)}{_ends(table, found)}"
    if not found.compared:
        return f"{text}. Nothing is compared with it."
    neither = _rows(axis, found.by("cannot be told apart"))
    better, worse = (_rows(axis, found.by(verdict)) for verdict in ("better", "worse"))
    why: tuple[Withheld, ...] = ("near the floor", "still rising")
    withheld = [f"No verdict, {each}: {some}." for each in why if (some := _rows(axis, found.by(each)))]
    if not (better or worse):
        said = [f"None can be told apart from it: {neither}."] if neither else []
    else:
        said = [f"Better: {better or 'none'}.", f"Worse: {worse or 'none'}."]
        said += [f"Cannot be told apart: {neither}."] if neither else []
    return " ".join([f"{text}.", *said, *withheld])


def _ends(table: ResultTable, found: AgainstReference) -> str:
    """The range of the means where the rows are values in order, else the highest."""
    axis, means = table.part.rows.name, found.means
    best, worst = (f"{means[row]:.3f}, of {tables.label(axis, row)}" for row in (found.best, found.worst))
    if table.part.figure == "line" and len(means) > 1:
        return f"; the means go from {worst}, to {best}"
    if found.best != table.part.reference:
        return f"; the highest mean is {best}"
    return ", the highest mean" if len(means) > 1 else ""


def _rows(axis: str, some: list[Comparison]) -> str:
    return ", ".join(f"{tables.label(axis, each.labels[axis])} ({signed(each.difference)})" for each in some)


def _verdict_counts(table: ResultTable, found: VerdictCounts) -> str:
    neither = found.compared - found.better - found.worse - found.withheld
    reference = row_name(table, table.part.reference)
    withheld = f", {found.withheld} without a verdict" if found.withheld else ""
    if found.compared == 1:
        if found.withheld:
            return f"The one difference from {reference} is given no verdict."
        which = (
            "is better than"
            if found.better
            else "is worse than"
            if found.worse
            else "cannot be told apart from"
        )
        return f"The other way {which} {reference}, at {100 * SIGNIFICANT:g} %."
    text = (
        f"Of {count(found.compared, 'difference')} from {reference}, the other way is better in {found.better}, "
        f"{reference} in {found.worse}; {neither} cannot be told apart{withheld}, at {100 * SIGNIFICANT:g} % for all "
        "of them together (Holm)."
    )
    if found.alone:
        text += (
            f" {found.alone} more would count if {plural(found.alone, 'it were', 'each were')} the only one."
        )
    return text


def _reach(found: IntervalReach) -> str:
    several = found.compared > 1
    width = f"{found.median:.3f}"
    width += f" in the median ({found.least:.3f} to {found.most:.3f})" if several else ""
    more = ", and one that is to stand among all the others must be larger" if several else ""
    return f"The 95 % intervals reach {width} to either side: a smaller difference would mostly go unseen here{more}."


def _over_seen(table: ResultTable, found: OverSeen) -> str:
    text = f"Over the {found.triplets:,} seen test triplets alone the verdicts are the same"
    others = "; ".join(
        f"{_place(table, own)} {verdict(own)} ({signed(own.difference)}), not “{over_all}”"
        for own, over_all in found.others
    )
    return f"{text} but for: {others}." if others else f"{text}."


def _range(table: ResultTable, found: FigureRange) -> str:
    title = FIGURES[found.name][0]
    first, last = figure(found.name, found.low), figure(found.name, found.high)
    if first == last:
        return f"{title}: {first} everywhere."
    lowest, highest = _place(table, found.lowest), _place(table, found.highest)
    return f"{title}: lowest {first}, with {lowest}; highest {last}, with {highest}."


def _diverged(table: ResultTable, found: DivergedRuns) -> str:
    number = sum(len(entry.failed) for entry in found.entries)
    names = ", ".join(f"{_place(table, entry)} ({len(entry.failed)})" for entry in found.entries)
    first = found.entries[0].failed[0]
    reason = f" The first of them, {first.run}: {first.reason}." if first.reason else ""
    return f"{count(number, 'run')} diverged and {plural(number, 'is', 'are')} in no mean: {names}.{reason}"
