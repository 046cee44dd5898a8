"""A dialog is let be by what goes on behind it."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.waiting import PATIENCE


def page() -> None:
    """A screen that something new has reached, with a dialog."""
    import streamlit as st

    from dans_app.shared import dialogs

    @dialogs.staying("One of the toolbar's")
    def opened(word: str) -> None:
        st.markdown(f"inside: {word}")

    state = st.session_state
    state["runs"] = state.get("runs", 0) + 1
    if st.button("Open"):
        opened("a link")
    if st.button("Dismiss"):
        dialogs.drawn_anew()
    if state.get("news") and not state.pop("follows", False):
        state["follows"] = True
        dialogs.redraw()
        state["follows"] = False
    st.markdown(f"run {state['runs']}")


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def test_a_screen_draws_itself_anew_only_where_no_dialog_is_open():
    app = AppTest.from_function(page, default_timeout=PATIENCE).run()
    app.session_state["news"] = True
    app.run()
    assert app.session_state["runs"] == 3, "at once where none is open"
    press(app, "Open")
    assert any(text.value == "inside: a link" for text in app.markdown)
    assert app.session_state["runs"] == 4 and any(text.value == "run 4" for text in app.markdown)
    press(app, "Dismiss")
    assert app.session_state["runs"] == 6, "what waited comes"
