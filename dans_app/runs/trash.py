"""What the Runs screen says of deleted runs and of the cache: undo, restore, remove for good."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import streamlit as st

from dans_app.runs import disk_use, words
from dans_app.runs.actions import attempt
from dans_app.server import keeping
from dans_data.errors import InputError
from dans_data.words import bytes_in_words, count
from dans_lab.runs import trash
from dans_lab.runs.trash import Trashed


def undo_line() -> None:
    """What was deleted last, and the way back; for as long as the trash holds it."""
    thrown = trash.trashed()
    last = [each for each in thrown if each.deleted == thrown[0].deleted]
    if not last:
        return
    what = words.called(last[0].run_id, last[0].about.name) if len(last) == 1 else count(len(last), "run")
    size = disk_use.size_in_words(each.path for each in last)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":material/delete: Deleted {what}, {size}, {words.ago(last[0].deleted)}.", width="content"
        )
        st.button(
            "Undo", icon=":material/undo:", on_click=attempt, args=(_restore, [each.key for each in last])
        )


def disk_space() -> None:
    """The trash and the cache, each with its size, and how to be rid of them."""
    box = st.expander("Trash and cache", icon=":material/delete:", key="runs_disk", on_change="rerun")
    if not box.open:
        return
    with box:
        _trash_can(trash.trashed())
        cached = trash.cached()
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            size = disk_use.size_in_words(cached) if cached else "empty"
            most = bytes_in_words(trash.CACHE_BYTES)
            made_of = f"Pictures of the map and the like, made again when they are needed; beyond {most} the oldest go."
            st.markdown(f"**Cache:** {size}. {made_of}", width="content")
            if st.button("Clear the cache", icon=":material/mop:", disabled=not cached):
                with st.spinner("Clearing …"):
                    attempt(keeping.clear_cache)
                st.rerun()


def _trash_can(thrown: Sequence[Trashed]) -> None:
    """What the trash holds, to be restored or removed for good."""
    if not thrown:
        st.markdown("**Trash:** empty.")
        return
    size = disk_use.size_in_words(each.path for each in thrown)
    most = bytes_in_words(trash.TRASH_BYTES)
    st.markdown(
        f"**Trash:** {count(len(thrown), 'run')}, {size}. Beyond {most} the oldest go, after a day or later."
    )
    keys = [each.key for each in thrown]
    chosen = st.dataframe(
        {
            "Name": [each.about.name or each.run_id for each in thrown],
            "Deleted": [each.deleted for each in thrown],
            "Id": [each.run_id for each in thrown],
        },
        # Places are selected, so another trash is another widget.
        key=f"runs_trash_{zlib.crc32(repr(keys).encode()):x}",
        hide_index=True,
        height="content" if len(keys) <= 6 else 248,
        column_config={"Deleted": st.column_config.DatetimeColumn(format="distance")},
        on_select="rerun",
        selection_mode="multi-row",
        alt=f"The trash: {count(len(keys), 'deleted run')}.",
    )
    picked = [keys[place] for place in chosen["selection"]["rows"] if place < len(keys)]
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Restore",
            icon=":material/undo:",
            disabled=not picked,
            on_click=attempt,
            args=(_restore, picked),
            help="Brings back the selected runs.",
        )
        with st.popover("Empty the trash", icon=":material/delete_forever:"):
            st.markdown(f"Remove {count(len(keys), 'run')}, {size}, for good? This cannot be undone.")
            if st.button("Remove for good", type="primary"):
                with st.spinner("Removing …"):
                    attempt(keeping.remove_for_good, keys)
                st.rerun()


def _restore(keys: Sequence[str]) -> None:
    """Take all of these back that can be; says the first that cannot."""
    refusals = []
    for key in keys:
        try:
            keeping.restore(key)
        except InputError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]
