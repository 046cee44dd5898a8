"""The widgets of a new run, built from the fields of `Config`: title, reason, bounds and default come from there.

Each widget is bound to the URL, so a link carries the settings; what comes in is checked again by `Config`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError

from dans_app import theme
from dans_app.shell import plain
from dans_core.config import PRESETS, Config, explain, parse

MAIN = ("decoder", "sampler", "epochs", "seed")
GROUPS = {
    "negatives": "Negatives",
    "GAN": "Generator and discriminator",
    "training": "Training",
    "model": "Embedding model",
    "record": "What is kept",
}
DATASET = "dataset"
_PROBLEM = "address_problem"
_PRESETS = {
    "default": "All settings as they train well on small graphs.",
    "paper": "The numbers of the DANS paper and its released code: 5,000 epochs, and noise so small that all fakes "
    "of a condition are copies.",
}
_WORDS = {
    "decoder": theme.DECODERS,
    "sampler": theme.SAMPLERS,
    "loss": {"bce": "Binary", "softmax": "Softmax"},
}


def key(name: str) -> str:
    """The widget's key, which is its name in the URL; `set_` as in the terminal's `--set name=value`."""
    return name if name in MAIN else f"set_{name}"


def default(name: str) -> Any:
    """The default of one setting."""
    return Config.model_fields[name].default


def bounds(name: str) -> tuple[float | None, float | None]:
    """Lowest and highest value of a number, from the field's own limits; excluded ends count as included."""
    low = high = None
    for limit in Config.model_fields[name].metadata:
        low = getattr(limit, "ge", getattr(limit, "gt", low))
        high = getattr(limit, "le", getattr(limit, "lt", high))
    return low, high


def step(name: str) -> float:
    """A step for the plus and minus of a number: one unit of its default's first digit."""
    value = default(name)
    if isinstance(value, int):
        even = any(hasattr(limit, "multiple_of") for limit in Config.model_fields[name].metadata)
        return 10 if even or value >= 100 else 1
    return 10.0 ** math.floor(math.log10(value)) if value else 0.1


def chosen() -> dict[str, Any]:
    """The settings that differ from their defaults now."""
    values = {name: st.session_state.get(key(name), default(name)) for name in Config.model_fields}
    return {name: value for name, value in values.items() if value is not None and value != default(name)}


def config() -> Config:
    """The `Config` of the widgets. Raises InputError, in one sentence, where they do not go together."""
    return parse(chosen())


def check_address(datasets: list[str]) -> None:
    """Say once, before the widgets fall back to their defaults, which values of the URL make no sense."""
    problems = []
    for name in Config.model_fields:
        raw = st.query_params.get(key(name))
        if raw is None:
            continue
        # Streamlit writes a choice as it reads on screen; links may also carry its plain name.
        labels = _WORDS.get(name, {})
        if raw in labels:
            st.session_state[key(name)] = raw
        raw = {label: value for value, label in labels.items()}.get(raw, raw)
        try:
            Config(**{name: raw})
        except ValidationError as error:
            # What a widget can show, it shows, and the form says what is wrong with it.
            if error.errors()[0]["loc"] and not _can_show(name, raw):
                problems.append(explain(error))
    asked = st.query_params.get(DATASET)
    asked = {label: name for name, label in theme.DATASETS.items()}.get(asked, asked)
    if asked is not None and asked not in datasets:
        problems.append(f"dataset = {asked[:40]!r}: must be one of {', '.join(datasets)}")
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        st.session_state[_PROBLEM] = (
            f"The address holds a setting that is not possible, so its default stands: {plain(problems[0], 200)}{more}."
        )
    if _PROBLEM in st.session_state:
        st.warning(st.session_state[_PROBLEM], icon=":material/link_off:")


def use_preset(name: str) -> None:
    """Set every widget to this preset; for callbacks."""
    _fill(PRESETS[name])


def use_run(config: Config, dataset: str) -> dict[str, str]:
    """Set every widget to what a run was trained with, before its page is shown; the same as a part of the URL."""
    _fill(config.model_dump())
    st.session_state[DATASET] = dataset
    # A widget that was not on the screen yet does not write itself into the URL.
    found = {DATASET: theme.DATASETS.get(dataset, dataset)}
    for name, value in config:
        if value != default(name):
            written = str(value).lower() if isinstance(value, bool) else str(value)
            found[key(name)] = _WORDS.get(name, {}).get(written, written)
    return found


def use_address() -> None:
    """Set what the address does not name to its default, before the page is shown."""
    for name in (DATASET, *map(key, Config.model_fields)):
        if name not in st.query_params:
            st.session_state[name] = "umls" if name == DATASET else default(name.removeprefix("set_"))


def _fill(values: Mapping[str, Any]) -> None:
    for field in Config.model_fields:
        st.session_state[key(field)] = values.get(field, default(field))
    _forget_problem()


def preset_buttons() -> None:
    """Choose a preset. Buttons, since their press cannot be mistaken for a setting that changed by itself."""
    own = chosen()
    own.pop("seed", None)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(":small[Preset]", width="content")
        for name, values in PRESETS.items():
            st.button(
                name.capitalize(),
                icon=":material/check:" if values == own else None,
                key=f"preset_{name}",
                on_click=use_preset,
                args=(name,),
                help=_PRESETS[name],
            )


def dataset_widget(names: list[str]) -> str:
    """Choose a data set by name."""
    return st.selectbox(
        "Data set",
        names,
        index=names.index("umls") if "umls" in names else 0,
        format_func=lambda name: theme.DATASETS.get(name, name),
        key=DATASET,
        bind="query-params",
        on_change=_forget_problem,
        help="Data sets that came with the program, and those in the folder DANS_DATA_DIR.",
    )


def widget(name: str) -> None:
    """The widget of one setting."""
    field = Config.model_fields[name]
    kind, options = field.annotation, get_args(field.annotation)
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    unit = str(extra["unit"])
    changed = st.session_state.get(key(name), field.default) not in (field.default, None)
    label = f"{field.title}{' :primary[●]' if changed else ''}"
    words = _WORDS.get(name, {})
    shown = words.get(
        field.default, f"{field.default:g}" if isinstance(field.default, float) else field.default
    )
    common: dict[str, Any] = {
        "key": key(name),
        "bind": "query-params",
        "on_change": _forget_problem,
        "help": f"{field.description}\n\nDefault: {shown}{f' {unit}' if unit else ''}.",
    }
    if options:
        st.segmented_control(
            label,
            options,
            default=field.default,
            format_func=lambda value: words.get(value, value),
            required=True,
            **common,
        )
    elif kind is bool:
        st.toggle(label, value=field.default, **common)
    else:
        low, high = bounds(name)
        number = int if kind is int else float
        st.number_input(
            label,
            value=number(field.default),
            min_value=None if low is None else number(low),
            max_value=None if high is None else number(high),
            step=number(step(name)),
            format="%d" if kind is int else "%g",
            **common,
        )


def more_settings() -> None:
    """All settings beside the main ones, in groups."""
    for group, title in GROUPS.items():
        st.markdown(f"**{title}**")
        names = [
            name
            for name, field in Config.model_fields.items()
            if name not in MAIN and field.json_schema_extra["group"] == group
        ]
        for name in names:
            widget(name)


def changes() -> str:
    """The settings that differ from the defaults, in words; "" for none."""
    return ", ".join(
        f"{Config.model_fields[name].title} {_WORDS.get(name, {}).get(value, value)}"
        for name, value in chosen().items()
    )


def _can_show(name: str, raw: str) -> bool:
    """Whether the number widget of a setting takes this text, although `Config` may not."""
    if Config.model_fields[name].annotation not in (int, float):
        return False
    low, high = bounds(name)
    try:
        value = float(raw)
    except ValueError:
        return False
    return (low is None or low <= value) and (high is None or value <= high)


def _forget_problem() -> None:
    st.session_state.pop(_PROBLEM, None)
