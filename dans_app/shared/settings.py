"""The widgets of a new run, built from the fields of `Config`: title, reason, bounds and default come from there.

Each widget is bound to the URL, so a link carries the settings; what comes in is checked again by `Config`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import streamlit as st
from pydantic import ValidationError
from streamlit.errors import StreamlitAPIException

from dans_app.server import graph
from dans_app.shared import spelling, theme
from dans_app.shared.spelling import DATASET as DATASET
from dans_app.shared.spelling import MAIN, WORDS
from dans_app.shared.spelling import key as key
from dans_app.shared.words import markdown_text
from dans_core.config import Config, choices, explain, group_of, matters
from dans_core.declared import DECLARED
from dans_data.errors import InputError
from dans_lab.budget import recipe as by_size
from dans_lab.budget.recipe import RECIPE_SETTINGS
from dans_lab.presets import PRESETS
from dans_lab.runs.run import Run

GROUPS = {
    "negatives": "Negatives",
    "GAN": "Generator and discriminator",
    "training": "Training",
    "model": "Embedding model",
    "record": "What is kept",
}
_PROBLEM = "address_problem"
_SAMPLER_BEFORE = "dans_sampler_before"
_DATASET_BEFORE = "dans_dataset_before"
_USUAL = "umls"
_SINGULAR = {"entities": "entity", "matrices": "matrix"}
_WITHOUT_GAN = {GROUPS["GAN"]: "Warm-up and generator"}
_PRESETS = {
    "default": "All settings as they train well on small graphs.",
    "fakes-as-negatives": "DANS as in the paper in this: a fake is a negative itself, beside random entities, and the "
    "game has a round in every step. With the settings that train it well.",
    "paper": "The numbers of the DANS paper and its released code: 5,000 epochs, and noise so small that all fakes "
    "of a condition are copies.",
}
"""What the presets of the form are; `released-faults` stands in the list of runs that go wrong."""


def default(name: str, sampler: str | None = None, dataset: str | None = None) -> Any:
    """The default of one setting, with this sampler and data set (None: those that are chosen now)."""
    if name in (own := DECLARED[sampler or _sampler()].defaults):
        return own[name]
    usual = Config.model_fields[name].default
    return recipe(sampler, dataset).get(name, usual) if name in RECIPE_SETTINGS else usual


def recipe(sampler: str | None = None, dataset: str | None = None) -> dict[str, Any]:
    """The settings that fit a sampler and the size of a data set (None: those that are chosen now).

    Empty where the data set cannot be read.
    """
    sizes = graph.sizes(dataset or _dataset())
    return {} if sizes is None else by_size.recipe(sizes.train, sampler or _sampler())


def _dataset() -> str:
    return st.session_state.get(DATASET) or _USUAL


def _sampler() -> str:
    found: Any = st.session_state.get(key("sampler"))
    return found if found in DECLARED else str(Config.model_fields["sampler"].default)


def _reading() -> str:
    found: Any = st.session_state.get(key("reading"))
    return found if found in choices("reading") else str(default("reading"))


def bounds(name: str) -> tuple[float | None, float | None]:
    """Lowest and highest value of a number, from the field's own limits; excluded ends count as included."""
    low = high = None
    for limit in Config.model_fields[name].metadata:
        low = getattr(limit, "ge", getattr(limit, "gt", low))
        high = getattr(limit, "le", getattr(limit, "lt", high))
    return low, high


def unit_of(name: str) -> str:
    """What a setting is counted in, such as "epochs"; "" for none."""
    extra = Config.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["unit"])


def unit_behind(name: str, value: Any) -> str:
    """What a value is counted in, to stand behind it, such as " epochs"; "" for none, and for a share."""
    unit = unit_of(name)
    if unit in ("", "share"):
        return ""
    return f" {_SINGULAR.get(unit, unit.removesuffix('s')) if value == 1 else unit}"


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
    return {name: value for name, value in values.items() if value is not None and value not in _usual(name)}


def _usual(name: str) -> tuple[Any, ...]:
    """What needs no mention; a default that is the sampler's own counts where the setting is used alone."""
    own = default(name)
    return (own,) if used(name) else (own, Config.model_fields[name].default)


def config() -> Config:
    """The complete `Config` of the widgets, with what the data set's size decides.

    Raises InputError, in one sentence, where the settings do not go together or the data set cannot be read.
    """
    return by_size.config_for(len(graph.load(_dataset()).array("train")), chosen())


def check_address(datasets: list[str]) -> None:
    """Say once, before the widgets fall back to their defaults, which values of the URL make no sense."""
    refused = _refuse_impossible(datasets)
    respelled, twice = spelling.keep_one(datasets)
    if twice:
        st.session_state[_PROBLEM] = (
            f"The address holds a setting with two values, of which the first counts: {markdown_text(twice, 200)}."
        )
    if respelled or refused:
        # Widgets are filled from the address with which a run of the script begins.
        st.rerun()
    if _PROBLEM in st.session_state:
        st.warning(st.session_state[_PROBLEM], icon=":material/link_off:")


def _refuse_impossible(datasets: list[str]) -> bool:
    """Take out of the address what no widget can show, with a sentence for `check_address`; whether there was any."""
    problems = dict(_impossible(datasets))
    if not problems:
        return False
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    problem = f"{markdown_text(next(iter(problems.values())), 200)}{more}"
    said = f"The address holds a setting that is not possible, so its default stands: {problem}."
    refused = st.session_state.get(_PROBLEM) != said
    st.session_state[_PROBLEM] = said
    # A widget would read them before it knows its bounds, and not all of them can be read.
    for name in problems:
        # Of a widget that is on the screen, Streamlit lets none but it do so, when it is drawn again.
        with suppress(StreamlitAPIException):
            del st.query_params[name]
            refused = True
        setting = name.removeprefix("set_")
        kept = DATASET if setting == DATASET else key(setting)
        if kept in st.session_state and (name == kept or kept not in st.query_params):
            st.session_state[kept] = _USUAL if setting == DATASET else default(setting)
    return refused


def _impossible(datasets: list[str]) -> Iterator[tuple[str, str]]:
    """What the address asks for and no widget can show: its name there, and why."""
    for name in Config.model_fields:
        each = spelling.parameter(name)
        for asked in (each.key, each.also):
            if asked not in st.query_params:
                continue
            raw = each.plain(st.query_params[asked])
            try:
                Config.model_validate({name: raw})
            except ValidationError as error:
                # What a widget can show, it shows, and the form says what is wrong with it.
                if error.errors()[0]["loc"] and not _can_show(name, raw):
                    yield asked, explain(error)
    graphs = spelling.dataset(datasets)
    for asked in (graphs.key, graphs.also):
        if asked in st.query_params and graphs.plain(st.query_params[asked]) not in datasets:
            shown = st.query_params[asked][:40]
            yield asked, f"dataset = {shown!r}: must be one of {', '.join(datasets)}"


def use_preset(name: str) -> None:
    """Set every widget to this preset; for callbacks."""
    _fill(PRESETS[name])


def use_run(config: Config, dataset: str) -> dict[str, str]:
    """Set every widget to what a run was trained with, before its page is shown; the same as a part of the URL."""
    st.session_state[DATASET] = st.session_state[_DATASET_BEFORE] = dataset
    _fill(config.model_dump())
    # A widget that was not on the screen yet does not write itself into the URL.
    found = {DATASET: theme.DATASETS.get(dataset, dataset)}
    for name, value in config:
        if value != default(name, config.sampler, dataset):
            written = str(value).lower() if isinstance(value, bool) else str(value)
            found[key(name)] = WORDS.get(name, {}).get(written, written)
    return found


def use_address(datasets: list[str]) -> None:
    """Set what the address does not name to its default, before the page is shown; it may ask for these data sets."""
    asked = spelling.parameter("sampler").plain(st.query_params.get(key("sampler"), ""))
    sampler = asked if asked in DECLARED else default("sampler")
    asked = spelling.dataset(datasets).plain(st.query_params.get(DATASET, ""))
    # Anything else that `KnowledgeGraph.load` takes, such as a path, is not for an address to name.
    dataset = asked if asked in datasets else _USUAL
    for name in (DATASET, *map(key, Config.model_fields)):
        if name not in st.query_params:
            usual = _USUAL if name == DATASET else default(name.removeprefix("set_"), sampler, dataset)
            st.session_state[name] = usual


def _fill(values: Mapping[str, Any]) -> None:
    sampler = values.get("sampler", Config.model_fields["sampler"].default)
    for field in Config.model_fields:
        st.session_state[key(field)] = values.get(field, default(field, sampler))
    _forget_problem()


def preset_buttons() -> None:
    """Choose a preset. Buttons, since their press cannot be mistaken for a setting that changed by itself."""
    own = chosen()
    own.pop("seed", None)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(":small[Preset]", width="content")
        for name, about in _PRESETS.items():
            differs = {
                setting: value for setting, value in PRESETS[name].items() if value != default(setting)
            }
            st.button(
                name.replace("-", " ").capitalize(),
                icon=":material/check:" if differs == own else None,
                key=f"preset_{name}",
                on_click=use_preset,
                args=(name,),
                help=about,
            )


def choose_dataset(
    names: list[str], key: str, on_change: Callable[[], None], index: int = 0, **more: Any
) -> str:
    """The list of data sets, with the chosen one read; `more` goes to the widget."""
    dataset = st.selectbox(
        "Data set",
        names,
        index=index,
        format_func=lambda name: theme.DATASETS.get(name, name),
        key=key,
        on_change=on_change,
        help="Data sets that came with the program, those in the folder DANS_DATA_DIR or downloaded, and your own. The "
        "Data screen shows, downloads and adds them.",
        **more,
    )
    with st.spinner("Reading the triplets …", show_time=True):
        graph.sizes(dataset)
    return dataset


def dataset_widget(names: list[str]) -> str:
    """Choose a data set by name."""
    first = names.index(_USUAL) if _USUAL in names else 0
    dataset = choose_dataset(names, DATASET, _forget_problem, index=first, bind="query-params")
    _move_on(st.session_state.get(_DATASET_BEFORE), dataset)
    return dataset


def follow(looked_at: Callable[[], Run | None], names: list[str]) -> None:
    """Have the form begin with the data set of the run that is looked at, where nobody chose another."""
    if DATASET in st.session_state or DATASET in st.query_params:
        return
    # Where it cannot be read, the form begins as it does without a run.
    with suppress(InputError):
        if (run := looked_at()) is not None and run.meta.source in names:
            st.session_state[DATASET] = run.meta.source


def _move_on(before: str | None, dataset: str) -> None:
    """What stood at the default of the data set before stands at that of this one."""
    if before not in (None, dataset):
        for name in RECIPE_SETTINGS:
            if st.session_state.get(key(name)) in (None, default(name, dataset=before)):
                st.session_state[key(name)] = default(name, dataset=dataset)
    st.session_state[_DATASET_BEFORE] = dataset


def widget(name: str) -> None:
    """The widget of one setting."""
    field = Config.model_fields[name]
    kind, options = field.annotation, choices(name)
    usual = default(name)
    changed = st.session_state.get(key(name), usual) not in (usual, None)
    sized = name in recipe() and usual != field.default
    label = f"{field.title}{' :primary[●]' if changed else ' :material/straighten:' if sized else ''}"
    words = WORDS.get(name, {})
    shown = words.get(usual, f"{usual:g}" if isinstance(usual, float) else usual)
    common: dict[str, Any] = {
        "key": key(name),
        "bind": "query-params",
        "on_change": _forget_problem,
        "help": f"{field.description}\n\nDefault{' for a graph of this size' if sized else ''}: "
        f"{shown}{unit_behind(name, usual)}.",
    }
    if name == "sampler":
        _sampler_widget(label, options, common)
    elif options:
        st.segmented_control(
            label,
            options,
            default=usual,
            format_func=lambda value: words.get(value, value),
            required=True,
            **common,
        )
    elif kind is bool:
        st.toggle(label, value=usual, **common)
    else:
        low, high = bounds(name)
        number = int if kind is int else float
        st.number_input(
            label,
            value=number(usual),
            min_value=None if low is None else number(low),
            max_value=None if high is None else number(high),
            step=number(step(name)),
            format="%d" if kind is int else "%g",
            **common,
        )


def _sampler_widget(label: str, options: tuple[str, ...], common: dict[str, Any]) -> None:
    """The list of samplers, each with what it is in the help, and the chosen one below."""
    common |= {"help": f"{common['help']}\n\n{about_samplers()}", "on_change": _sampler_changed}
    sampler = st.selectbox(
        label,
        options,
        index=options.index(default("sampler")),
        format_func=theme.SAMPLERS.__getitem__,
        **common,
    )
    st.session_state[_SAMPLER_BEFORE] = sampler
    st.caption(theme.SAMPLERS_ABOUT[sampler])


def about_samplers() -> str:
    """What each sampler is, as a list in Markdown."""
    return "\n".join(f"- **{theme.SAMPLERS[name]}**: {about}" for name, about in theme.SAMPLERS_ABOUT.items())


def sampler_title() -> str:
    """The chosen sampler as it is called on screen."""
    return theme.SAMPLERS[_sampler()]


def used(name: str) -> bool:
    """Whether the chosen sampler uses this setting, with the chosen reading of fakes."""
    return matters(name, _sampler(), _reading())


def more_settings() -> None:
    """The settings beside the main ones that the chosen sampler uses, in groups; then, closed, the rest."""
    groups: dict[str, list[str]] = {title: [] for title in GROUPS.values()}
    idle: list[str] = []
    for name in Config.model_fields:
        if name in MAIN:
            continue
        (groups[GROUPS[group_of(name)]] if used(name) else idle).append(name)
    for title, names in groups.items():
        if names:
            st.markdown(f"**{title if DECLARED[_sampler()].fakes else _WITHOUT_GAN.get(title, title)}**")
        for name in names:
            widget(name)
    # On the page although no one needs them: a widget that goes and comes again takes what the address once said.
    with st.expander(f"Not used by {sampler_title()}"):
        st.caption(
            "These change nothing now, and are kept for a sampler, or a reading of fakes, that uses them."
        )
        for name in idle:
            widget(name)


def changes(in_use: bool = True) -> str:
    """The settings that differ from the defaults and that the sampler uses, or does not, in words; "" for none."""
    return ", ".join(
        f"{Config.model_fields[name].title} {_in_words(name, value)}"
        for name, value in chosen().items()
        if used(name) == in_use
    )


def _in_words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return WORDS.get(name, {}).get(value, str(value))


def _can_show(name: str, raw: str) -> bool:
    """Whether the number widget of a setting takes this text, although `Config` may not."""
    if Config.model_fields[name].annotation not in (int, float):
        return False
    low, high = bounds(name)
    try:
        value = float(raw)
    except ValueError:
        return False
    return math.isfinite(value) and (low is None or low <= value) and (high is None or value <= high)


def _sampler_changed() -> None:
    """What stood at the default of the sampler before stands at that of the new one."""
    before = st.session_state.get(_SAMPLER_BEFORE, _sampler())
    for name in {*DECLARED[before].defaults, *DECLARED[_sampler()].defaults, *RECIPE_SETTINGS}:
        if st.session_state.get(key(name)) in (None, default(name, before)):
            st.session_state[key(name)] = default(name)
    _forget_problem()


def _forget_problem() -> None:
    st.session_state.pop(_PROBLEM, None)
