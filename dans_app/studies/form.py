"""The form of a new study: its fields, each with what is wrong with it, what the study will take, and its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

import dans_data
from dans_app.server import graph, jobs, studies
from dans_app.shared import cost_words, dialogs, settings, study_link, theme
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text, sentence
from dans_core.config import Config
from dans_data.errors import InputError
from dans_lab.budget.experience import Basis
from dans_lab.budget.several import Forecast
from dans_lab.study.draft import MOST_RUNS, NOT_HERE, Budget, Draft, Field, Refused
from dans_lab.study.folder import studies_dir
from dans_lab.study.plan import Plan

BUDGETS: dict[Budget, str] = {"epochs": "Epochs", "minutes": "Minutes"}
_KEY = "studies_new_{}"
_PROBLEM = "studies_new_problem"
_OTHERS = tuple(name for name in Config.model_fields if name not in NOT_HERE)


def address() -> Address:
    """The part of the address that is the form's."""
    return Address("studies", "", "new")


def show(place: Address) -> None:
    """The whole form; what it says stands in the address."""
    names = _datasets()
    draft, unknown = study_link.parse(place.raw, names)
    if unknown:
        place.complain(
            f"The address asks for {markdown_text(unknown[0], 60)}, which there is not; the usual one stands instead."
        )
    usual = study_link.usual(draft) | {"data": Draft().dataset, "spend": Draft().budget, study_link.NEW: ""}
    for name, value in study_link.query(draft).items():
        place.keep(name, None if value == usual[name] else value)
    if problem := st.session_state.pop(_PROBLEM, None):
        st.error(sentence(problem), icon=":material/error:")
    plan, wrong = _plan(draft)
    st.header("New study", anchor=False)
    with st.container(border=True):
        _fields(place, draft, names, wrong)
    if plan is not None:
        _start(place, draft, plan)
    jobs.pool().warm(draft.dataset)


def _datasets() -> list[str]:
    """The data sets that are here."""
    return [info.name for info in dans_data.available() if info.here and not info.problem]


def _plan(draft: Draft) -> tuple[Plan | None, Refused | None]:
    """The study, or what is wrong with what was chosen."""
    try:
        train = len(graph.load(draft.dataset).array("train"))
        known = jobs.experience(draft.dataset)
        return draft.plan(train, lambda config: known.expect(config).need.run_seconds, _is_taken), None
    except Refused as problem:
        return None, problem
    except InputError as problem:
        return None, Refused("data", str(problem))


def _is_taken(name: str) -> bool:
    return (studies_dir() / name).exists()


# --- its fields --------------------------------------------------------------------------------------------------


def _fields(place: Address, draft: Draft, names: list[str], wrong: Refused | None) -> None:
    def said(field: Field) -> None:
        if wrong is not None and wrong.field == field:
            st.error(sentence(wrong), icon=":material/error:")

    left, right = st.columns(2)
    with left:
        key = _keyed("data", draft.dataset)
        settings.choose_dataset(names, key, lambda: place.choose("data", st.session_state[key]))
        said("data")
        _several(place, "samplers", "Samplers", theme.SAMPLERS, draft.samplers, settings.about_samplers())
        said("samplers")
        about = "What turns the embeddings of a triplet into its score."
        _several(place, "decoders", "Decoders", theme.DECODERS, draft.decoders, about)
        said("decoders")
    with right:
        about = "How many runs of each that differ in their seed alone, such as 5; or which seeds, such as 10-14, 20."
        _text(place, "seeds", "Seeds", draft.seeds, about)
        said("seeds")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            about = (
                "What every run may spend alike. Epochs: as often through the training triplets. Minutes: of training "
                "on one core; each kind of run gets the epochs that it is expected to make in this time here."
            )
            place.segmented(
                "spend",
                "Budget of a run in",
                BUDGETS,
                draft.budget,
                about,
                also=lambda: place.keep("amount", None),
            )
            _text(place, "amount", BUDGETS[draft.budget], draft.amount, "", width=140)
        said("budget")
        about = "1 to 24 characters of a-z, 0-9 and -. Left empty, it is made of what is compared."
        _text(place, "name", "Name of the study", draft.name, about)
        said("name")
    _settings(place, draft)
    said("settings")


def _settings(place: Address, draft: Draft) -> None:
    """Which settings are other than the defaults, or are compared, and the values of each."""
    key = _keyed("which", list(draft.settings))

    def chosen() -> None:
        kept = {name: draft.settings.get(name, str(_usual(name, draft))) for name in st.session_state[key]}
        place.choose("settings", study_link.settings_text(kept))

    st.multiselect(
        "Other settings",
        _OTHERS,
        format_func=lambda name: Config.model_fields[name].title or name,
        key=key,
        on_change=chosen,
        placeholder="As they fit a graph of this size",
        help="One value holds for all runs; several, separated by commas, are compared: every combination is trained.",
    )
    if not draft.settings:
        return
    holders = st.columns(min(3, len(draft.settings)))
    for number, (name, text) in enumerate(draft.settings.items()):
        field = Config.model_fields[name]
        own = _keyed(f"setting_{name}", text)

        def changed(name: str = name, own: str = own) -> None:
            written = st.session_state[own].replace(";", ",")
            place.choose("settings", study_link.settings_text({**draft.settings, name: written}))

        with holders[number % len(holders)]:
            usual = _usual(name, draft)
            about = f"{field.description}\n\nDefault: {usual}{settings.unit_behind(name, usual)}."
            st.text_input(field.title or name, key=own, on_change=changed, max_chars=200, help=about)


def _usual(name: str, draft: Draft) -> Any:
    """The default of a setting, as a person writes it."""
    value = settings.default(name, next(iter(draft.samplers), None), draft.dataset)
    return ("on" if value else "off") if isinstance(value, bool) else value


def _keyed(name: str, value: Any) -> str:
    """The key of a widget that shows this value now."""
    key = _KEY.format(name)
    st.session_state[key] = value
    return key


def _text(place: Address, name: str, label: str, value: str, about: str, **more: Any) -> None:
    key = _keyed(name, value)
    st.text_input(
        label,
        key=key,
        on_change=lambda: place.choose(name, st.session_state[key]),
        max_chars=80,
        help=about or None,
        **more,
    )


def _several(
    place: Address, name: str, label: str, known: Mapping[str, str], chosen: Sequence[str], about: str
) -> None:
    key = _keyed(name, [each for each in chosen if each in known])
    st.multiselect(
        label,
        list(known),
        format_func=known.__getitem__,
        key=key,
        on_change=lambda: place.choose(name, ",".join(st.session_state[key])),
        help=f"The first is what the others are compared with.\n\n{about}",
    )


# --- what it will take, and its start ----------------------------------------------------------------------------


def _told(plan: Plan, draft: Draft) -> Forecast:
    kinds = [cell.config for cell in plan.kinds]
    return jobs.forecast(kinds, len(plan.seeds), jobs.experience(draft.dataset))


def _start(place: Address, draft: Draft, plan: Plan) -> None:
    """What it takes, the button, and the study as a file with the command that does the same."""
    told = _told(plan, draft)
    st.fragment(run_every=cost_words.TICK if told.basis in cost_words.PROVISIONAL else None)(_cost)(
        plan, draft, told.basis
    )
    try:
        largest = max((cell.config for cell in plan.kinds), key=lambda each: jobs.memory(each, draft.dataset))
        if warning := jobs.check_memory(largest, draft.dataset):
            st.warning(sentence(warning), icon=":material/memory:")
    except InputError as problem:
        st.error(sentence(problem), icon=":material/error:")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Start the study",
            type="primary",
            icon=":material/play_arrow:",
            key="studies_new_start",
            on_click=_begin,
            args=(place,),
        )
        st.download_button(
            "Study file",
            plan.text,
            file_name=f"{plan.name}.toml",
            mime="application/toml",
            icon=":material/download:",
            key="studies_new_file",
            on_click="ignore",
            help="The same study for a terminal, or to be changed by hand.",
        )
        st.caption(
            f"It trains on without this window, and goes on where it was after any end; at most {MOST_RUNS:,} runs."
        )
    with st.expander("The study as a file", icon=":material/description:"):
        st.code(plan.text, language="toml")
        st.caption("With this file, the same in a terminal:")
        st.code(f"python -m dans_core study {plan.name}.toml", language="bash")


def _cost(plan: Plan, draft: Draft, basis: Basis) -> None:
    """What it takes; what is provisional is looked at again, as the waiting worker times this machine."""
    told = _told(plan, draft)
    if told.basis != basis:
        dialogs.redraw()
    st.markdown(
        f"**{markdown_text(plan.title, 200)}**: {cost_words.in_all(told)}", help=cost_words.BASIS[told.basis]
    )


def _begin(place: Address) -> None:
    """For callbacks: start what the form says at the click, which may be newer than what was drawn."""
    plan, _ = _plan(study_link.parse(place.raw, _datasets())[0])
    if plan is None:
        # Its field says what is wrong.
        return
    try:
        studies.conductors().begin(plan)
    except InputError as problem:
        st.session_state[_PROBLEM] = str(problem)
    else:
        close(place)
        Address("studies", "").choose("study", plan.name)


def close(place: Address) -> None:
    """Leave the form; what it said is forgotten."""
    for name in study_link.query(Draft()):
        place.choose(name, None)
