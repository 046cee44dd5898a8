"""Screen For teachers: a card for each lesson with its link, two lecture plans, and a page to print."""

import streamlit as st

from dans_app.shared import classroom, exports, shell
from dans_app.shared.words import markdown_text
from dans_app.teach import handout, plans
from dans_data.errors import InputError
from dans_data.words import count
from dans_lab.lessons.cards import Card, cards


def show() -> None:
    bar = shell.head("For teachers")
    st.caption("Lessons with the answers to expect, lecture plans, and a page to print for students.")
    shell.narrow_hint("The screens are behind the arrows at the top left.")
    shell.toolbar(bar, None)
    try:
        known = cards()
    except InputError as error:
        known = []
        st.error(f"The lessons cannot be shown: {markdown_text(str(error), 300)}.", icon=":material/error:")
    show_papers(known)
    st.header("Lessons", anchor=False)
    if exports.is_here_alone(exports.address()):
        st.info(
            "These links lead each machine to itself. For students, open the app under the name that this machine has "
            "in your network; the links then begin with it.",
            icon=":material/lan:",
        )
    hidden = classroom.parts("Hidden in the links below", "teach_hidden")
    for number, card in enumerate(known, 1):
        show_card(number, card, hidden)


def show_papers(known: list[Card]) -> None:
    st.header("Plans and paper", anchor=False)
    for name, title in plans.PLANS.items():
        with st.expander(title, icon=":material/schedule:"):
            st.markdown(plans.plan(name, exports.address()))
    st.download_button(
        "A page for students, to print",
        lambda: handout.page(known).encode(),
        file_name="dans-lab-students.html",
        mime="text/html",
        icon=":material/print:",
        on_click="ignore",
        help="One HTML file on A4: the words, each lesson with room for prediction and answer, a table for the game.",
    )


def show_card(number: int, card: Card, hidden: list[str]) -> None:
    address = classroom.link(plans.beside(exports.address(), card.link), hidden, "")
    with st.container(border=True):
        st.markdown(
            f"**{number} · {markdown_text(card.title)}** · {count(card.minutes, 'minute')}  \n"
            f"{markdown_text(card.about, 300)}  \n:small[Before: {markdown_text(card.before, 300)}]"
        )
        st.code(address, language=None, wrap_lines=True)
        with st.expander("The answers to expect", icon=":material/key:"):
            lines = [f"{markdown_text(card.prediction, 200)} **{markdown_text(card.measured)}**"]
            lines += [
                f"{markdown_text(each.question, 300)} **{markdown_text(each.expected, 300)}** "
                f"{markdown_text(each.because, 600)}"
                for each in card.answers
            ]
            st.markdown("\n".join(f"- {line}" for line in lines))


shell.guard()
show()
