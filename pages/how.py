"""Screen How it works: DANS as one drawing, whose parts open their formula, numbers, settings and lines of code."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from dans_app.how import drawing, formulas, panel, seen
from dans_app.how import parts as how_parts
from dans_app.how.parts import Part
from dans_app.how.prose import prose
from dans_app.how.seen import Seen
from dans_app.server import loading
from dans_app.shared import classroom, dialogs, run_state, shell
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text
from dans_core.kg import KnowledgeGraph
from dans_lab.runs.run import Run

TICK = 2.0
KEY = "how_drawing"


@dataclass
class Open:
    """The part that is open, None for none; the address is read when the page is drawn, and only written by ticks."""

    part: str | None


def show() -> None:
    run = shell.begin(
        "How it works",
        "DANS as one drawing, with the numbers of a run in it. Point at a part or a word, press it, and it opens.",
        "There is no run yet. Start one on the Train page; its numbers then stand in the drawing.",
        ":material/schema:",
    )
    if run is None:
        return
    with shell.told("This run cannot be explained"):
        place = Address("how", run.id)
        opened = Open(opened_part(place, how_parts.parts(run.config)))
        kg = graph(run)
        going = run_state.under_way(run.status)

        @st.fragment(run_every=TICK if going else None)
        def ticking() -> None:
            with shell.told("This run cannot be explained"):
                if run_state.under_way(run.status) != going:
                    dialogs.redraw()
                explained(run, place, opened, kg)

        ticking()


def opened_part(place: Address, parts: dict[str, Part]) -> str | None:
    """The part that the address names; a name that no part has gets one sentence."""
    asked = place.raw("part")
    if asked is not None and asked not in parts:
        place.complain(f"The drawing has no part “{markdown_text(asked, 30)}”; choose one of those in it.")
        asked = None
    place.keep("part", asked)
    return asked


def graph(run: Run) -> KnowledgeGraph | None:
    """The graph of the run, or a sentence on why its counts are missing."""
    with shell.told("The counts of this graph are missing"):
        return loading.graph(run)
    return None


def explained(run: Run, place: Address, opened: Open, kg: KnowledgeGraph | None) -> None:
    """The drawing, and beside it the part that is open."""
    config = run.config
    parts = how_parts.parts(config)
    found = seen.seen(config, run_state.history(run), kg)

    def choose(name: str | None) -> None:
        opened.part = name
        place.choose("part", name)

    def picked() -> None:
        if (name := drawing.picked(KEY, parts)) is not None:
            choose(name)

    if place.message:
        st.warning(place.message, icon=":material/link_off:")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if missing := how_parts.without_game(config):
            st.caption(f"{missing} The parts of DANS that it does not have are dashed.")
        drawing.show(
            drawing.payload(parts, seen.notes(found), prose(config), opened.part, config), KEY, picked
        )
    with right, st.container(border=True):
        walk(list(parts), opened.part, choose)
        if opened.part is None:
            nothing_open(run)
        else:
            open_part(parts[opened.part], found)
            see_elsewhere(parts[opened.part], run)


def nothing_open(run: Run) -> None:
    st.header("One iteration", anchor=False)
    st.markdown(panel.cycle(None, run.config))
    st.markdown(panel.iteration(run.config))


def open_part(part: Part, found: Seen) -> None:
    st.header(part.title, anchor=False)
    if part.absent:
        st.info(markdown_text(part.absent, 300), icon=":material/block:")
    st.markdown(markdown_text(part.says, 400))
    panel.show_formula(formulas.formula(part.name, found))
    st.markdown(panel.cycle(part, found.config))
    if lines := panel.setting_lines(part, found.config):
        with st.expander("Settings that act on it", icon=":material/tune:"):
            st.markdown("\n\n".join(lines))
    if pieces := panel.pieces(part):
        with st.expander("The lines that do it", icon=":material/code:"):
            for piece in pieces:
                st.caption(f"`{piece.file}`, lines {piece.first} to {piece.last}")
                st.code(piece.text, language="python", wrap_lines=True)


def see_elsewhere(part: Part, run: Run) -> None:
    """Links to the screens on which the part is seen at work in this run."""
    if part.absent or classroom.hides("menu"):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("See it on", width="content")
        for title, query in how_parts.ELSEWHERE[part.name].items():
            page = shell.page(title)
            st.page_link(page, label=title, icon=page.icon, query_params={"run": run.id, **query})


def walk(names: list[str], now: str | None, choose: Callable[[str | None], None]) -> None:
    """Forth and back through all parts in the order in which they are best read."""
    place = names.index(now) if now in names else -1
    before, after = names[max(place - 1, 0)], names[min(place + 1, len(names) - 1)]
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Part before", icon=":material/arrow_back:", disabled=place <= 0, on_click=choose, args=(before,)
        )
        st.button(
            "Next part" if place >= 0 else "First part",
            icon=":material/arrow_forward:",
            disabled=place == len(names) - 1,
            on_click=choose,
            args=(after,),
        )


shell.guard()
show()
