"""From the files that a person dropped to what the panel shows of them: which count, what they hold, what to know.

What was read is kept in the session under the hash of its content: a click parses nothing twice, and it goes when the
files do. Nothing is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

import dans_data
from dans_app.data import upload_preview
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS, Dataset, Triplet, naming
from dans_data.errors import InputError
from dans_data.notes import SplitHere
from dans_data.words import bytes_in_words
from dans_lab import survey
from dans_lab.survey import Finding

File = tuple[str, bytes]
"""Name and content."""

FIRST_ROWS = 10
MOST_SEED = 2**31 - 1
USUAL_NAME = "my-triplets"

KEPT = "upload_kept"
"""Session key: the name of the data set that was kept on this visit of the screen."""

_READ = "upload_read"
"""Session key: what was read last, with the key that says of what."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What files hold.

    `way` says how they are written, `rows` are the first triplets in the order of the file, or of train; `sizes` are
    the distinct triplets of each split. `way`, `notes` and `findings` are plain text with names from the files.
    """

    dataset: Dataset
    way: str
    rows: list[Triplet]
    entities: int
    relations: int
    sizes: dict[str, int]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]


def in_use(names: Sequence[str]) -> list[int]:
    """Places of the files that count, of some in the order of their coming: the newest, which replaces the others.

    Files named after a split stay beside one another, the newest of each.
    """
    found: dict[str | None, int] = {}
    for place, name in enumerate(names):
        split = naming.split_of(name)
        found = {None: place} if split is None else {**found, split: place}
        if split is not None:
            found.pop(None, None)
    return sorted(found.values())


def read(files: Sequence[UploadedFile], seed: int) -> Reading:
    """What these files hold, one file split by `seed`; at once where they were read before.

    Raises InputError, in one sentence, where they cannot be read as one data set.
    """
    asked: tuple[int | str, ...] = (seed, *(file.file_id for file in files))
    kept: _Kept | None = st.session_state.get(_READ)
    if kept is None or kept.asked != asked:
        content = [(file.name, file.getvalue()) for file in files]
        digest = _digest(content, seed)
        if kept is None or kept.digest != digest:
            # What was read before may be large: it goes before there is more.
            kept = None
            forget()
            with st.spinner(
                f"Reading {bytes_in_words(sum(len(data) for _, data in content))} …", show_time=True
            ):
                kept = _Kept(asked, digest, _answer(content, seed))
        st.session_state[_READ] = kept = replace(kept, asked=asked)
    if isinstance(kept.answer, str):
        raise InputError(kept.answer)
    return kept.answer


def forget() -> None:
    """Let go of what was read last."""
    st.session_state.pop(_READ, None)


def leave() -> None:
    """Let go of the files, too, for when they are kept and when the person goes to another screen."""
    forget()
    st.session_state.pop(KEPT, None)
    context = get_script_run_ctx()
    # Else Streamlit holds them in memory until the session ends.
    if context is not None:
        context.uploaded_file_mgr.remove_session_files(context.session_id)


@dataclass(frozen=True, eq=False)
class _Kept:
    """An answer, or why there is none, of files by their ids, which Streamlit gives, and by their content."""

    asked: tuple[int | str, ...]
    digest: str
    answer: Reading | str


def _answer(files: Sequence[File], seed: int) -> Reading | str:
    try:
        return _read(files, seed)
    except InputError as error:
        return str(error)


def _read(files: Sequence[File], seed: int) -> Reading:
    dataset = dans_data.from_uploads(files, title_of([name for name, _ in files]), split_seed=seed)
    way, rows = upload_preview.preview(files, FIRST_ROWS)
    kg = KnowledgeGraph.from_names(dataset.splits, dataset.name, dataset.notes)
    return Reading(
        dataset,
        way,
        rows,
        kg.num_entities,
        kg.num_relations,
        {split: len(kg.array(split)) for split in SPLITS},
        # The panel shows the split itself.
        tuple(str(note) for note in kg.read_notes if not isinstance(note, SplitHere)),
        tuple(survey.findings(kg)),
    )


def title_of(names: Sequence[str]) -> str:
    """What the files of one data set are called together."""
    return naming.title(names[0]) if len(names) == 1 and naming.split_of(names[0]) is None else USUAL_NAME


def _digest(files: Sequence[File], seed: int) -> str:
    digest = hashlib.sha256(str(seed).encode())
    for name, data in files:
        for part in (name.encode(errors="replace"), data):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()
