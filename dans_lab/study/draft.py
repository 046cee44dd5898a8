"""A study that is being put together: what a person chose, whether it can be run, and the study file that says it.

Everything is text as a person writes it, so that a form, an address and a test say it alike. How many runs it makes is
multiplied before anything is listed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dans_core.config import Config, choices, matters, parse
from dans_data.errors import InputError
from dans_data.words import count, listed, visible_text
from dans_lab.budget.recipe import config_for
from dans_lab.names import DATASETS, DECODERS, SAMPLERS
from dans_lab.runs.run import run_id_error
from dans_lab.study.plan import LONGEST_NAME, SHIPPED, Plan, parse_plan
from dans_lab.study.tables import label, title

MOST_RUNS = 1_000
"""Runs of a study from a form; a file may ask for ten times as many."""

MOST_MINUTES = 24 * 60

Budget = Literal["epochs", "minutes"]
"""What every run may spend alike: so many epochs, or so many minutes of training on one core."""

Field = Literal["data", "samplers", "decoders", "seeds", "budget", "settings", "name"]

NOT_HERE = ("sampler", "decoder", "epochs", "seed")
"""Settings that a form asks for apart from the others."""

_LONGEST = 200
_SWITCH = {"on": True, "off": False, "true": True, "false": False}


class Refused(InputError):
    """A draft that cannot be run; `field` says where the reason lies."""

    def __init__(self, field: Field, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True)
class Draft:
    """What a person chose.

    Attributes:
        seeds: how many, or a list such as "10-14, 20".
        budget, amount: what each run may spend, as a number in text.
        settings: the values of a setting, separated by commas, by its name; several are compared.
        name: of the study; "" for one made of what is compared.
    """

    dataset: str = "umls"
    samplers: tuple[str, ...] = ("dans", "uniform")
    decoders: tuple[str, ...] = ("complex",)
    seeds: str = "5"
    budget: Budget = "epochs"
    amount: str = "300"
    settings: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    @classmethod
    def of_runs(cls, configs: Sequence[Config], dataset: str, train: int, seeds: str = "5") -> Draft:
        """A study of these runs with other seeds, on a graph of so many training triplets.

        The runs may differ in sampler and decoder alone; of the other settings those are named that the defaults are
        not.
        """
        settings: dict[str, str] = {}
        for config in configs:
            given = {name: getattr(config, name) for name in ("sampler", "decoder", "epochs")}
            usual = config_for(train, given)
            for name, value in config:
                if name not in NOT_HERE and value != getattr(usual, name) and matters(name, config.sampler):
                    settings[name] = _written(value)
        samplers, decoders = (
            tuple(dict.fromkeys(each))
            for each in zip(*((c.sampler, c.decoder) for c in configs), strict=True)
        )
        return cls(dataset, samplers, decoders, seeds, "epochs", str(configs[0].epochs), settings)

    # --- how much ----------------------------------------------------------------------------------------------

    def spans(self) -> list[range]:
        """The seeds as ranges. Raises `Refused` for what is none."""
        text = self.seeds.strip()
        if re.fullmatch(r"[0-9]{1,9}", text):
            if int(text) < 1:
                raise Refused("seeds", "seeds = 0: must be a number of at least 1, or a list such as 10-14")
            return [range(int(text))]
        if len(text) > _LONGEST:
            raise Refused(
                "seeds", f"seeds: a list has at most {_LONGEST} characters; this one has {len(text):,}"
            )
        found = []
        for part in text.split(","):
            ends = re.fullmatch(r"\s*([0-9]{1,9})(?:\s*[-–]\s*([0-9]{1,9}))?\s*", part)
            if ends is None or int(ends[2] or ends[1]) < int(ends[1]):
                raise Refused(
                    "seeds", f"seeds = {text[:40]!r}: must be a number such as 5, or a list such as 10-14, 20"
                )
            found.append(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
        return found

    def values(self) -> dict[str, list[Any]]:
        """The values of each setting. Raises `Refused` for one that it may not have."""
        found = {}
        for name, text in self.settings.items():
            shown = Config.model_fields[name].title if name in Config.model_fields else None
            if shown is None or name in NOT_HERE:
                raise Refused("settings", f"there is no setting {name[:40]!r}")
            if len(text) > _LONGEST:
                raise Refused("settings", f"{shown} has more than {_LONGEST} characters of values")
            parts = [part.strip() for part in text.split(",") if part.strip()]
            if not parts:
                raise Refused(
                    "settings", f"{shown} has no value: give one for all runs, or several to compare"
                )
            values = [_value(name, part) for part in parts]
            if len(set(values)) < len(values):
                raise Refused("settings", f"{shown} has a value twice: {', '.join(parts)}")
            found[name] = values
        return found

    def runs(self) -> int:
        """How many runs it makes. Raises `Refused` for what cannot be counted, for none, and for too many."""
        for name, some, known in (
            ("samplers", self.samplers, SAMPLERS),
            ("decoders", self.decoders, DECODERS),
        ):
            where: Field = "samplers" if name == "samplers" else "decoders"
            if not some:
                raise Refused(where, f"choose at least one of the {name}")
            if unknown := [each for each in some if each not in known]:
                raise Refused(where, f"there is no {name[:-1]} {unknown[0][:40]!r}")
        seeds = sum(map(len, self.spans()))
        settings = math.prod([len(self.samplers), len(self.decoders), *map(len, self.values().values())])
        if seeds * settings > MOST_RUNS:
            raise Refused(
                "seeds" if seeds > settings else "settings",
                f"{count(settings, 'setting')} × {count(seeds, 'seed')} make {count(seeds * settings, 'run')}; a study "
                f"from here has at most {MOST_RUNS:,}",
            )
        if settings == 1:
            raise Refused(
                "samplers", "there is nothing to compare: choose a second sampler, decoder or value"
            )
        return seeds * settings

    def spend(self) -> float:
        """Epochs or minutes. Raises `Refused` for what is no such number."""
        most = MOST_MINUTES if self.budget == "minutes" else 100_000
        try:
            found = float(self.amount)
        except ValueError:
            found = math.nan
        whole = self.budget == "minutes" or found == int(found) if math.isfinite(found) else False
        if not (whole and 0 < found <= most and (self.budget == "minutes" or found >= 1)):
            kind = "a number above 0" if self.budget == "minutes" else "a whole number, at least 1"
            raise Refused(
                "budget", f"{self.budget} = {self.amount[:40]!r}: must be {kind} and at most {most:,}"
            )
        return found

    # --- the study ---------------------------------------------------------------------------------------------

    def plan(self, train: int, seconds: Callable[[Config], float], taken: Callable[[str], bool]) -> Plan:
        """The study on a graph of so many training triplets.

        `seconds` says what a run will take here, from which a budget in minutes becomes epochs; `taken` whether a name
        is that of another study.

        Raises `Refused`, in one sentence.
        """
        self.runs()
        amount = self.spend()
        if len({seed for span in self.spans() for seed in span}) < sum(map(len, self.spans())):
            raise Refused("seeds", f"seeds = {self.seeds!r}: names a seed twice")
        name = self._named(taken)
        try:
            return parse_plan(self._text(train, amount, seconds), name, "these settings", train)
        except Refused:
            raise
        except InputError as error:
            raise Refused("settings", str(error).removeprefix("these settings: ")) from None

    def _named(self, taken: Callable[[str], bool]) -> str:
        if not (asked := self.name.strip()):
            words = [
                self.dataset.rpartition("/")[2],
                *(self.samplers if len(self.samplers) < 3 else ("samplers",)),
            ]
            stem = (
                re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")[: LONGEST_NAME - 3].strip("-")
            )
            names = (stem or "study", *(f"{stem or 'study'}-{number}" for number in range(2, 100)))
            return next((name for name in names if not self._is_taken(name, taken)), names[-1])
        if run_id_error(asked) or len(asked) > LONGEST_NAME:
            raise Refused(
                "name",
                f"{asked[:40]!r} cannot name a study: 1 to {LONGEST_NAME} characters of a-z, 0-9 and -",
            )
        if self._is_taken(asked, taken):
            raise Refused("name", f"there is a study {asked!r} already; give this one another name")
        return asked

    @staticmethod
    def _is_taken(name: str, taken: Callable[[str], bool]) -> bool:
        return (SHIPPED / f"{name}.toml").is_file() or taken(name)

    def _text(self, train: int, amount: float, seconds: Callable[[Config], float]) -> str:
        """The study file."""
        values = self.values()
        axes: dict[str, Sequence[Any]] = {"sampler": self.samplers, "decoder": self.decoders, **values}
        compared = [name for name, some in axes.items() if len(some) > 1]
        fixed = {name: some[0] for name, some in axes.items() if len(some) == 1}
        rows = compared[0]
        names = [label(rows, value) for value in axes[rows]]
        data = visible_text(DATASETS.get(self.dataset, self.dataset))
        lines = [
            f"title = {_toml(self._title(rows, names, data))}",
            f"question = {_toml(self._question(rows, names, data))}",
        ]
        if self.budget == "minutes":
            how = "on one core; its epochs follow from what an epoch was expected to take"
            lines.append(f"budget = {_toml(f'Each run may train for {self._spent(amount)} {how}')}")
        seeds = [seed for span in self.spans() for seed in span]
        whole = seeds == list(range(len(seeds)))
        lines += [
            f"dataset = {_toml(self.dataset)}",
            f"seeds = {len(seeds) if whole else seeds}",
            "",
            "[settings]",
        ]
        lines += [f"{name} = {_toml(value)}" for name, value in fixed.items()]
        if self.budget == "epochs":
            lines.append(f"epochs = {int(amount)}")
            lines += ["", "[grid]", *(f"{name} = {_toml(list(axes[name]))}" for name in compared)]
            return "\n".join(
                [*lines, "", "[table]", f"rows = {_toml(rows)}", f"reference = {_toml(axes[rows][0])}", ""]
            )
        columns = {name: axes[name] for name in compared[1:]}
        for place in _combinations(columns):
            if columns:
                shown = [
                    label(name, value) if name == "decoder" else f"{title(name)} {label(name, value)}"
                    for name, value in place.items()
                ]
                lines += ["", "[[part]]", f"title = {_toml(', '.join(shown))}"]
                lines += [
                    f"settings = {{ {', '.join(f'{name} = {_toml(value)}' for name, value in place.items())} }}"
                ]
            table, variant = ("[part.table]", "[[part.variant]]") if columns else ("[table]", "[[variant]]")
            lines += ["", table, 'rows = "variant"', f"reference = {_toml(names[0])}"]
            for shown_name, value in zip(names, axes[rows], strict=True):
                given = fixed | place | {rows: value}
                epochs = _epochs(given, train, 60 * amount, seconds, self._spent(amount))
                lines += [
                    "",
                    variant,
                    f"name = {_toml(shown_name)}",
                    f"{rows} = {_toml(value)}",
                    f"epochs = {epochs}",
                ]
        return "\n".join([*lines, ""])

    @staticmethod
    def _spent(amount: float) -> str:
        return count(int(amount), "minute") if amount == int(amount) else f"{amount:g} minutes"

    def _title(self, rows: str, names: Sequence[str], data: str) -> str:
        what = (
            listed(names)
            if len(names) < 4
            else f"{len(names)} kinds of negatives"
            if rows == "sampler"
            else f"{len(names)} values"
        )
        return f"{what if rows in ('sampler', 'decoder') else f'{title(rows)} {what}'} on {data}"

    def _question(self, rows: str, names: Sequence[str], data: str) -> str:
        if rows == "sampler":
            return f"Which negatives train the best embedding of {data}: {' or '.join(names)}?"
        return f"Which {title(rows)} trains the best embedding of {data}: {' or '.join(names)}?"


def _combinations(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{}]
    for name, values in axes.items():
        found = [{**each, name: value} for each in found for value in values]
    return found


def _value(name: str, text: str) -> Any:
    """A value of a setting, as the study file has it. Raises `Refused` for one that it may not have."""
    value: Any = _SWITCH.get(text.lower(), text) if Config.model_fields[name].annotation is bool else text
    for known in choices(name):
        value = known if known.lower() == text.lower() else value
    try:
        return getattr(parse({name: value}), name)
    except InputError as error:
        # A value may be right with other settings than the defaults; whether these go together is told by the plan.
        if str(error).startswith(f"{name} = {value!r}:"):
            raise Refused("settings", str(error)) from None
    kind = Config.model_fields[name].annotation
    return kind(float(text)) if kind in (int, float) else value


def _epochs(
    given: Mapping[str, Any], train: int, budget: float, seconds: Callable[[Config], float], words: str
) -> int:
    """The most epochs with which such a run takes no longer than `budget` seconds."""

    def fits(epochs: int) -> bool:
        return seconds(config_for(train, {**given, "epochs": epochs})) <= budget

    if not fits(1):
        what = ", ".join(label(name, given[name]) for name in ("sampler", "decoder"))
        raise Refused("budget", f"not one epoch of {what} fits into {words} on this machine")
    least, most = 1, 2
    while most <= 100_000 and fits(most):
        least, most = most, 2 * most
    most = min(most, 100_001)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return least


def _written(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _toml(value: Any) -> str:
    """A value of a study file: basic strings, numbers, switches and lists of TOML are those of JSON."""
    return json.dumps(value, ensure_ascii=False)
