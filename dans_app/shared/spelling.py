"""How the settings of a new run are spelled in an address: as in the terminal or as on the screen, and which is kept.

The widgets know one spelling of each name and each value, and drop every other from the address. So a link is put
into theirs before they are drawn. Once they are, Streamlit lets nobody else write their part of the address: where a
link is followed on the screen itself, it is the widget that gets the value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from pydantic import ValidationError
from streamlit.errors import StreamlitAPIException

from dans_app.shared import theme
from dans_core.config import Config, choices

MAIN = ("decoder", "sampler", "epochs", "seed")
"""The settings with options of their own in the terminal; the others are given as `--set name=value`."""

DATASET = "dataset"

WORDS: dict[str, Mapping[str, str]] = {
    "decoder": theme.DECODERS,
    "sampler": theme.SAMPLERS,
    "loss": {"bce": "Binary", "softmax": "Softmax"},
    "pathways": {"both": "Both", "G_E": "G_E alone", "G_R": "G_R alone"},
    "film": {"trained": "Trained", "frozen": "Frozen", "none": "None"},
    "reading": {"vectors": "Vectors", "entities": "Entities"},
}
"""What the values of a setting are called on screen, by their names in the terminal."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of an address: `key` is what is kept, `also` another name of it, `words` its values on screen."""

    key: str
    also: str = ""
    words: Mapping[str, str] = field(default_factory=dict)

    def plain(self, text: str) -> str:
        """A value as the terminal knows it, from either spelling, in any case of letters; else the text as it is."""
        return self._found(text, {shown: name for name, shown in self.words.items()} | _same(self.words))

    def shown(self, text: str) -> str:
        """A value as the screen has it, from either spelling, in any case of letters; else the text as it is."""
        return self._found(text, {**self.words, **_same(self.words.values())})

    @staticmethod
    def _found(text: str, known: Mapping[str, str]) -> str:
        return {each.casefold(): value for each, value in known.items()}.get(text.casefold(), text)


def _same(names: Collection[str]) -> dict[str, str]:
    return dict(zip(names, names, strict=True))


def key(name: str) -> str:
    """The key of a setting's widget, which is its name in the address."""
    return name if name in MAIN else f"set_{name}"


def parameter(name: str) -> Parameter:
    """How an address spells one setting."""
    words = WORDS.get(name) or _same(choices(name))
    if Config.model_fields[name].annotation is bool:
        words = {"true": "true", "false": "false"}
    return Parameter(key(name), f"set_{name}" if name in MAIN else name, words)


def dataset(datasets: Collection[str]) -> Parameter:
    """How an address spells one of these data sets."""
    return Parameter(DATASET, f"set_{DATASET}", {name: theme.DATASETS.get(name, name) for name in datasets})


def parameters(datasets: Collection[str]) -> Iterator[Parameter]:
    """All that an address may say of a new run, on one of these data sets."""
    yield dataset(datasets)
    yield from map(parameter, Config.model_fields)


def keep_one(datasets: Collection[str]) -> tuple[bool, str]:
    """Put the address into the spelling that is kept: whether it had another, and what is wrong with it, or "".

    Where both names of a parameter have a value, that of the name that is kept counts.
    """
    query = st.query_params
    changed, problem = False, ""
    for each in parameters(datasets):
        found = {name: each.shown(query[name]) for name in (each.key, each.also) if name in query}
        if not found:
            continue
        value = next(iter(found.values()))
        if len(set(found.values())) > 1:
            problem = f"{each.key} stands in it twice, as {value[:40]!r} and as {found[each.also][:40]!r}"
        if each.also in query or query[each.key] != value:
            query.pop(each.also, None)
            try:
                query[each.key] = value
            except StreamlitAPIException:
                st.session_state[each.key] = _read(each.key, each.plain(value))
            changed = True
    return changed, problem


def _read(key: str, text: str) -> Any:
    """What the widget of a parameter holds where the address says this."""
    name = key.removeprefix("set_")
    if name == DATASET:
        return text
    try:
        return getattr(Config.model_validate({name: text}), name)
    except ValidationError:
        # A number that the widget shows and the form complains of.
        number = float(text)
        return int(number) if Config.model_fields[name].annotation is int else number
