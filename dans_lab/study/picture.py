"""A study's learning curves as SVG files that need no browser to be made: valid MRR over training time or epochs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dans_lab.study.learning import Curve, Over, curve, median, timed, unit
from dans_lab.study.tables import ResultTable
from dans_lab.study.words import heading, row_name

_COLORS = ("#0072b2", "#c44601", "#007a5a", "#b0478a", "#6a4fb3", "#7a5c00", "#2f7d95", "#444444")
"""Each has a contrast of at least 4.5 : 1 on white, and neighbours differ for the colour-blind too."""

_DASHES = ("", "7 3", "2 3")
"""Once the colours are used up, the next dash begins."""

_WIDTH, _HEIGHT = 860, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 200, 40, 46
_LINE = 15.0
"""Pixels between two names."""

_LONGEST = 26


WORDS: dict[Over, str] = {"seconds": "training time", "epochs": "epochs"}
"""What learning is drawn over, in words."""


def worth_drawing(table: ResultTable) -> dict[Over, str]:
    """What to draw the curves of a table over, and how the file is called; over epochs too where these differ."""
    if not any(entry.trained for entry in table.entries):
        return {}
    last = {points[-1][0] for entry in table.entries for record in entry.records if (points := timed(record))}
    return {"seconds": "curve", "epochs": "epochs"} if len(last) > 1 else {"seconds": "curve"}


def svg(table: ResultTable, over: Over) -> str:
    """The curves of a table as SVG, one panel for each of its columns; "" where no run has seconds.

    Thick lines are medians over the seeds, with their names at the end; thin ones are runs. The ground is white, so
    that it is read as well on a dark page.
    """
    panels: list[str] = []
    for column in table.columns:
        entries = [each for each in table.entries if table.column_of(each.labels) == column]
        lines = [
            _Line(
                row_name(table, each.labels[table.part.rows.name]),
                median(each.records, over),
                [curve(record, over) for record in each.records],
                f'stroke="{_COLORS[place % len(_COLORS)]}" '
                f'stroke-dasharray="{_DASHES[place // len(_COLORS) % len(_DASHES)]}"',
                _COLORS[place % len(_COLORS)],
            )
            for place, each in enumerate(entries)
        ]
        if lines := [line for line in lines if line.middle]:
            panels.append(_panel(heading(table, column), lines, over, len(panels)))
    if not panels:
        return ""
    height = _HEIGHT * len(panels)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
            f'height="{height}" font-family="system-ui, sans-serif" font-size="12" fill="#222222">',
            f"<title>{escape(table.part.title)}: valid MRR by {WORDS[over]}</title>",
            f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
            *panels,
            "</svg>\n",
        ]
    )


@dataclass(frozen=True)
class _Line:
    name: str
    middle: Curve
    runs: list[Curve]
    stroke: str
    color: str


def _panel(title: str, lines: list[_Line], over: Over, number: int) -> str:
    what, size = "epochs", 1.0
    if over == "seconds":
        name, size = unit(max(x for line in lines for x, _ in line.middle))
        what = f"training time of a run, {name}"
    end = max(1e-6, *(x / size for line in lines for run in line.runs for x, _ in run))
    # The first epochs would press flat what comes after them.
    late = [v for line in lines for _, v in line.middle[len(line.middle) // 8 :]]
    room = 0.05 * max(max(late) - min(late), 0.002)
    low, high = min(late) - room, max(late) + room
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(point: tuple[float, float]) -> tuple[float, float]:
        at, value = point
        return _LEFT + width * at / size / end, _TOP + height * (high - value) / (high - low)

    def path(points_of: Curve, look: str) -> str:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, points_of))
        return f'<polyline points="{points}" fill="none" {look}/>'

    out = [f'<g transform="translate(0 {_HEIGHT * number})">']
    out.append(f'<text x="{_LEFT}" y="22" font-size="14" font-weight="600">{escape(title)}</text>')
    for value in _ticks(low, high):
        y = place((0.0, value))[1]
        out.append(f'<path d="M{_LEFT} {y:.1f}h{width}" stroke="#e4e4e4"/>')
        out.append(
            f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{value:.{_digits(low, high)}f}</text>'
        )
    for value in _ticks(0.0, end):
        x, y = place((value * size, low))
        out.append(f'<text x="{x:.1f}" y="{y + 17:.1f}" text-anchor="middle">{value:g}</text>')
    middle, foot = _LEFT + width / 2, _HEIGHT - 10
    out.append(f'<text x="{middle:g}" y="{foot}" text-anchor="middle">{what}</text>')
    turned = f'transform="translate(14 {_TOP + height / 2:g}) rotate(-90)" text-anchor="middle"'
    out.append(f"<text {turned}>valid MRR</text>")
    inside = f"inside-{number}"
    out.append(
        f'<clipPath id="{inside}"><rect x="{_LEFT}" y="{_TOP}" width="{width}" height="{height}"/></clipPath>'
    )
    out.append(f'<g clip-path="url(#{inside})" stroke-linejoin="round">')
    out += [path(run, f'{line.stroke} stroke-width="1" opacity="0.3"') for line in lines for run in line.runs]
    out += [path(line.middle, f'{line.stroke} stroke-width="2.2"') for line in lines]
    out.append("</g>")
    ends = [place(line.middle[-1]) for line in lines]
    for line, (x, y), at in zip(lines, ends, _apart([y for _, y in ends]), strict=True):
        right = _LEFT + width + 12
        out.append(
            f'<path d="M{x + 3:.1f} {y:.1f}L{right - 3} {at:.1f}" stroke="{line.color}" opacity="0.4"/>'
        )
        shown = line.name if len(line.name) <= _LONGEST else line.name[: _LONGEST - 1] + "…"
        out.append(
            f'<text x="{right}" y="{at + 4:.1f}" fill="{line.color}">{escape(shown)} '
            f'<tspan opacity="0.85">{line.middle[-1][1]:.3f}</tspan></text>'
        )
    return "\n".join([*out, "</g>"])


def _step(low: float, high: float) -> float:
    """The round number between two ticks, of which there are three to seven."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def _ticks(low: float, high: float) -> list[float]:
    step = _step(low, high)
    return [round(n * step, 10) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _digits(low: float, high: float) -> int:
    """Decimals that tell the ticks apart."""
    return max(1, -math.floor(math.log10(_step(low, high)) + 1e-9))


def _apart(heights: Sequence[float]) -> list[float]:
    """The heights moved as little as lets a name stand at each, in their order, within the panel where they fit."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    found = list(heights)
    for before, after in itertools.pairwise(order):
        found[after] = max(found[after], found[before] + _LINE)
    beyond = float(_HEIGHT - _BOTTOM)
    for place in reversed(order):
        found[place] = min(found[place], beyond)
        beyond = found[place] - _LINE
    return found
