"""A study file: which runs answer a question, and which of them are compared; nothing here needs torch.

    title = "Negative samplers on UMLS"
    budget = "300 epochs for each run"          # optional: what all runs have alike, or why not, in a sentence
    dataset = "umls"
    seeds = 5                                   # 0 … 4, or a list of seeds
    [settings]                                  # of every run
    epochs = 300
    [grid]                                      # every combination
    decoder = ["distmult", "complex"]
    sampler = ["dans", "uniform"]
    [table]
    rows = "sampler"                            # compared with each other …
    reference = "uniform"                       # … and with this one; the other axes are columns

Instead of a grid, or beside it, `[[variant]]` lists settings that go together, each under a `name`. A study of several
tables has `[[part]]`s, each with its own title, settings, grid, variants and table.

What a file leaves open is chosen for the size of the graph, as `train` chooses it (`budget.recipe`).
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError
from pydantic import ConfigDict as ModelConfig

from dans_core.config import Config
from dans_data.errors import InputError
from dans_data.shipped import TOP
from dans_lab.budget.recipe import chosen_for_size, config_for
from dans_lab.presets import PRESETS
from dans_lab.runs import bounded
from dans_lab.runs.earlier import EARLIER
from dans_lab.runs.run import LONGEST_ID, STUDIES, run_id_error, runs_dir

SHIPPED = TOP / "assets" / "studies"
"""The folder of the study files that come with the program."""

VARIANT = "variant"
"""The axis of named variants."""

MOST_RUNS = 10_000

LONGEST_NAME = 24
"""Characters of the name of a study, from which the ids of its runs begin."""

_TABLES, _LISTS = ("settings", "grid", "table"), ("variant", "part")
"""The fields that are written as tables, and as lists of them."""

_ALSO_CALLED = {
    **dict.fromkeys(("set", "config", "options", "params", "parameters", "hyperparameters"), "settings"),
    **dict.fromkeys(("data", "graph", "kg"), "dataset"),
    **dict.fromkeys(("name", "heading"), "title"),
    **dict.fromkeys(("matrix", "sweep", "search"), "grid"),
    **dict.fromkeys(("description", "remark", "notes"), "note"),
    **dict.fromkeys(("repeats", "repetitions", "n_seeds", "num_seeds"), "seeds"),
}
"""What fields are called elsewhere."""

Figure = Literal["table", "line", "stability"]
Label = str | int | float | bool


class _Table(BaseModel):
    """Which axis is compared, with which of its values as the reference, and how a screen draws it."""

    model_config = ModelConfig(extra="forbid", strict=True)

    rows: str | None = None
    reference: Label | None = None
    figure: Figure = "table"


class _Part(BaseModel):
    """What one table is made of, as written."""

    model_config = ModelConfig(extra="forbid", strict=True)

    title: str = ""
    note: str = ""
    settings: dict[str, Label] = Field(default_factory=dict)
    grid: dict[str, list[Label]] = Field(default_factory=dict)
    variant: list[dict[str, Label]] = Field(default_factory=list)
    table: _Table = Field(default_factory=_Table)


class _File(_Part):
    """A whole file, as written."""

    title: str
    question: str = ""
    budget: str = ""
    dataset: str = "umls"
    preset: str = "default"
    seeds: int | list[int] = 5
    part: list[_Part] = Field(default_factory=list)


@dataclass(frozen=True)
class Axis:
    """What varies between the cells of a table: the name of a setting, or `VARIANT`, and its values in order."""

    name: str
    values: tuple[Label, ...]


@dataclass(frozen=True)
class Cell:
    """One place of a table: its value on each axis, and the settings, whose seed is to be replaced.

    `by_size` are those among them that the file leaves open and the size of the graph decided.
    """

    labels: dict[str, Label]
    config: Config
    by_size: dict[str, Any]


@dataclass(frozen=True)
class StudyPart:
    """One table: cells over `rows`, which is compared, and `columns`, all other axes.

    `reference` is the value of `rows` that the others are compared with; None: the first.
    """

    title: str
    note: str
    figure: Figure
    rows: Axis
    columns: tuple[Axis, ...]
    reference: Label
    cells: tuple[Cell, ...]

    def cell(self, labels: Mapping[str, Label]) -> Cell:
        """The cell with these values on all axes; KeyError if there is none."""
        for cell in self.cells:
            if cell.labels == dict(labels):
                return cell
        raise KeyError(labels)


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study: its id among the runs, and its settings."""

    run: str
    config: Config


@dataclass(frozen=True)
class Plan:
    """A study: its parts, and the seeds with which every cell is run. `text` is the file's content.

    `budget` says what each run may spend, in a sentence; "" where nothing is said. `train` are the training triplets of
    the graph that its settings are made for; 0 for one of any size, with the defaults of `Config`.
    """

    name: str
    title: str
    question: str
    budget: str
    dataset: str
    seeds: tuple[int, ...]
    parts: tuple[StudyPart, ...]
    text: str
    train: int = 0

    def made_for(self, train: int) -> Plan:
        """The same study with settings for a graph of so many training triplets, 0 for one of any size.

        Raises InputError where what the file sets does not go with what is chosen for the size.
        """
        return self if train == self.train else parse_plan(self.text, self.name, f"study {self.name}", train)

    @cached_property
    def by_size(self) -> dict[str, Counter[Any]]:
        """What the size of the graph decided: of each setting its values, and for how many of the `kinds` each."""
        found: defaultdict[str, Counter[Any]] = defaultdict(Counter)
        for cell in self.kinds:
            for name, value in cell.by_size.items():
                found[name][value] += 1
        return dict(found)

    @cached_property
    def kinds(self) -> tuple[Cell, ...]:
        """The cells of all parts, one of those with the same settings."""
        return tuple({cell.config: cell for part in self.parts for cell in part.cells}.values())

    @cached_property
    def jobs(self) -> tuple[PlannedRun, ...]:
        """Every distinct run, seed by seed, so that whole tables are there early; parts may share runs."""
        configs = dict.fromkeys(
            cell.config.with_values(seed=seed) for seed in self.seeds for cell in self.kinds
        )
        return tuple(PlannedRun(self.run_id(config), config) for config in configs)

    @cached_property
    def kind_of(self) -> dict[str, str]:
        """What runs that differ in their seeds alone have in common, by the id of each run: the id with seed 0."""
        return {planned.run: self.run_id(planned.config.with_values(seed=0)) for planned in self.jobs}

    def run_id(self, config: Config) -> str:
        """The id of the run with these settings, made of the study's name, what it trains and a digest of all."""
        # Of a path its last part, so that data may be moved; the study compares its hash.
        values = json.dumps([Path(self.dataset).name, _identity(config)], sort_keys=True)
        digest = hashlib.sha256(values.encode()).hexdigest()[:8]
        ending = f"-s{config.seed}-{digest}"
        return f"{self.name}-{config.decoder}-{config.sampler}"[: LONGEST_ID - len(ending)] + ending

    def runs_of(self, cell: Cell) -> tuple[str, ...]:
        """The ids of a cell's runs in the order of seeds."""
        return tuple(self.run_id(cell.config.with_values(seed=seed)) for seed in self.seeds)


def read_plan(source: str | Path) -> Plan:
    """The plan of a study file: a path, the name of a shipped one ("main"), or of a study that was begun here.

    Raises:
        InputError: for a file that is missing, no TOML, or asks for something that there is not: in one sentence.
    """
    path = Path(source).expanduser()
    name = path.stem
    if isinstance(source, str) and "/" not in source and not source.endswith(".toml") and not path.is_file():
        begun = runs_dir() / STUDIES / source / "study.toml"
        names = [file.stem for file in sorted(SHIPPED.glob("*.toml"))]
        if source not in names and not begun.is_file():
            raise InputError(
                f"there is no study {source!r}; give a .toml file, or one of those that come with the program: "
                + ", ".join(names)
            )
        path = SHIPPED / f"{source}.toml" if source in names else begun
        name = source
    if not path.exists():
        raise InputError(f"there is no study file {path}")
    text = bounded.text(path)
    return parse_plan(text, name, str(path))


def parse_plan(text: str, name: str, where: str, train: int = 0) -> Plan:
    """The plan in the text of a study file; `where` is named in complaints.

    What the file leaves open is chosen for a graph of `train` training triplets; 0 takes the defaults of `Config`.

    Raises:
        InputError: as `read_plan`.
    """
    try:
        written = _File.model_validate(bounded.toml(text, where))
    except ValidationError as error:
        raise InputError(f"{where}: {_complaint(error)}") from None
    try:
        return _plan(written, text, name, train)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _plan(written: _File, text: str, name: str, train: int) -> Plan:
    if run_id_error(name) or len(name) > LONGEST_NAME:
        raise InputError(
            f"{name!r} cannot name a study; a study has the name of its file, 1 to {LONGEST_NAME} characters of "
            "a-z, 0-9 and -"
        )
    if written.preset not in PRESETS:
        raise InputError(f"preset = {written.preset!r}: must be one of {', '.join(PRESETS)}")
    if isinstance(written.seeds, int) and written.seeds > MOST_RUNS:
        raise InputError(f"seeds = {written.seeds:,}: asks for more than {MOST_RUNS:,} runs")
    seeds = tuple(range(written.seeds)) if isinstance(written.seeds, int) else tuple(written.seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(
            f"seeds = {written.seeds}: must be a number of at least 1, or a list of different seeds"
        )
    if "seed" in written.settings:
        raise InputError("settings: seed is given by seeds, not among the settings")
    own = bool(written.grid or written.variant)
    if own and written.part:
        raise InputError("a study has either a grid and variants of its own or parts, not both")
    if not own and not written.part:
        raise InputError("there is nothing to compare: give a [grid], [[variant]]s or [[part]]s")
    # Multiplied, since a short file may ask for more than a machine can list.
    most = len(seeds) * sum(map(_size, written.part or [written]))
    if most > MOST_RUNS:
        raise InputError(f"asks for {most:,} runs, more than {MOST_RUNS:,}")
    shared = PRESETS[written.preset] | written.settings
    parts = []
    for part in written.part or [written]:
        title = part.title or written.title
        try:
            parts.append(_part(part, title, part.note or written.note, shared, train))
        except InputError as error:
            raise InputError(f"part {title!r}: {error}" if written.part else str(error)) from None
    about = written.title, written.question, written.budget, written.dataset
    return Plan(name, *about, seeds, tuple(parts), text, train)


def _size(part: _Part) -> int:
    """How many cells a part has."""
    return math.prod([len(part.variant) or 1, *map(len, part.grid.values())])


def _part(written: _Part, title: str, note: str, shared: Mapping[str, Any], train: int) -> StudyPart:
    axes, variants = [], {}
    if written.variant:
        variants = _variants(written.variant)
        axes.append(Axis(VARIANT, tuple(variants)))
    for name, steps in written.grid.items():
        if name == "seed":
            raise InputError("grid: seed is given by seeds, not in the grid")
        if name == VARIANT:
            raise InputError(
                f"grid: {VARIANT} is no setting; a list of variants is written as [[{VARIANT}]]s"
            )
        if not steps or len(set(steps)) < len(steps):
            raise InputError(f"grid: {name} = {steps}: must be a list of different values")
        axes.append(Axis(name, tuple(steps)))
    if not axes:
        raise InputError("there is nothing to compare: give a grid or variants")
    own = {} if isinstance(written, _File) else written.settings
    cells = tuple(_cells(axes, variants, {**shared, **own}, train))
    names = [axis.name for axis in axes]
    rows = written.table.rows or names[0]
    if rows not in names:
        raise InputError(f"table: rows = {rows!r}: must be one of {', '.join(names)}")
    down = axes[names.index(rows)]
    reference = down.values[0] if written.table.reference is None else written.table.reference
    if reference not in down.values:
        values = ", ".join(map(str, down.values))
        raise InputError(f"table: reference = {reference!r}: must be one of {values}")
    across = tuple(axis for axis in axes if axis is not down)
    return StudyPart(title, note, written.table.figure, down, across, reference, cells)


def _variants(written: list[dict[str, Label]]) -> dict[str, dict[str, Any]]:
    """The settings of each variant by its name."""
    found: dict[str, dict[str, Any]] = {}
    for variant in written:
        name = variant.get("name")
        if not isinstance(name, str) or not name:
            raise InputError('a variant needs a name, as in name = "no FiLM"')
        if name in found:
            raise InputError(f"two variants have the name {name!r}")
        if "seed" in variant:
            raise InputError(f"variant {name!r}: seed is given by seeds")
        settings = {key: value for key, value in variant.items() if key not in ("name", "preset")}
        preset = variant.get("preset", "default")
        if preset not in PRESETS:
            raise InputError(f"variant {name!r}: preset = {preset!r}: must be one of {', '.join(PRESETS)}")
        found[name] = PRESETS[str(preset)] | settings
    return found


def _cells(
    axes: list[Axis], variants: Mapping[str, Mapping[str, Any]], shared: Mapping[str, Any], train: int
) -> Iterator[Cell]:
    for values in itertools.product(*(axis.values for axis in axes)):
        labels = {axis.name: value for axis, value in zip(axes, values, strict=True)}
        settings = dict(shared)
        for name, value in labels.items():
            settings |= variants[str(value)] if name == VARIANT else {name: value}
        config = config_for(train, settings)
        yield Cell(labels, config, chosen_for_size(train, settings, config))


def _complaint(error: ValidationError) -> str:
    """A complaint about a study file in one sentence: of a field that there is not, else the first."""
    every = error.errors(include_url=False)
    # A field of another name may be why one is missing.
    first = next((each for each in every if each["type"] == "extra_forbidden"), every[0])
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"there is no field {place!r}{_meant(first['loc'])}"
    if first["type"] == "missing":
        return f"{place} is missing"
    return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}"


def _meant(loc: tuple[int | str, ...]) -> str:
    """What to add to the complaint about a field that there is not: what it is called, or where it belongs."""
    wrong = str(loc[-1]).lower()
    fields = (
        _Table.model_fields
        if "table" in loc[:-1]
        else _File.model_fields
        if len(loc) == 1
        else _Part.model_fields
    )
    if wrong in Config.model_fields:
        return f"; {wrong} is a setting, which stands below [settings], or with several values below [grid]"
    known = _ALSO_CALLED.get(wrong)
    begun = [name for name in fields if len(wrong) > 2 and (name.startswith(wrong) or wrong.startswith(name))]
    close = (
        [known] if known in fields else begun or difflib.get_close_matches(wrong, fields, n=1, cutoff=0.55)
    )
    if not close:
        return f"; the fields are {', '.join(fields)}"
    meant = (
        f"[{close[0]}]"
        if close[0] in _TABLES
        else f"[[{close[0]}]]"
        if close[0] in _LISTS
        else repr(close[0])
    )
    return f"; did you mean {meant}?"


def _identity(config: Config) -> dict[str, Any]:
    """Every setting by name, to tell runs apart by, also those that earlier versions of the program made."""
    left_out = {name for name, value in EARLIER.items() if getattr(config, name) == value}
    return config.model_dump(exclude=left_out)
