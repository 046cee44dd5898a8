"""What leaves the app: a table as CSV, a chart as picture or web page, and the view itself as address and files."""

from __future__ import annotations

import copy
import html
import re
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dans_app.server import inspecting
from dans_app.shared import classroom, theme
from dans_app.shared.bookmarks import pairs
from dans_app.shared.words import capital, markdown_text
from dans_data.errors import InputError
from dans_data.words import bytes_in_words
from dans_lab.export import run_archive, run_export
from dans_lab.export.spreadsheet import spreadsheet_text
from dans_lab.runs.run import Run

# Every screen has the toolbar, and pandas takes longer to import than a screen to paint.
if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_TOOLS = 34
"""Pixels right of a chart in which its tools stand, so that they cover no legend."""

_PLOTLY = {"displaylogo": False, "showSendToCloud": False}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ max-width: 1200px; margin: 1.5rem auto; padding: 0 1rem; font-family: system-ui, sans-serif;
  color: #1e2530; background: #fff; }}
h1 {{ font-size: 1.3rem; }}
figcaption {{ color: #4a5361; margin-top: .75rem; line-height: 1.5; }}
figure {{ margin: 0; }}
</style>
</head>
<body>
<h1>{title}</h1>
<figure>
{chart}
<figcaption>{caption}</figcaption>
</figure>
</body>
</html>
"""


def table(rows: pd.DataFrame, name: str) -> None:
    """A menu that downloads a table as CSV, to stand under it, at its corner.

    `name` says in words what it holds, becomes the name of the file, and stands once on a page.
    """
    if classroom.hides("downloads"):
        return
    with _menu(f"table_{zlib.crc32(name.encode()):x}", name):
        _csv(rows, name)


def chart(figure: go.Figure, *, key: str, alt: str, name: str, rows: pd.DataFrame | None = None) -> None:
    """A chart that can be zoomed and saved: as a picture by its camera, as a web page by the menu at its corner.

    `name` says in words what it shows: the title of the page, and the name of all files. `rows` are what is drawn.
    """
    figure.update_layout(modebar={"orientation": "v"}, margin_r=max(figure.layout.margin.r or 0, _TOOLS))
    st.plotly_chart(figure, key=key, alt=alt, config=config(name))
    if classroom.hides("downloads"):
        return
    with _menu(key, name):
        st.download_button(
            "Chart as a web page",
            partial(web_page, figure, name, alt),
            file_name=file_name(name, "html"),
            mime="text/html",
            key=f"{key}_html",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            help="It works by itself, offline: hover and zoom as here. For a picture, use the camera above the chart.",
        )
        if rows is not None:
            _csv(rows, name)


def _menu(key: str, name: str) -> DeltaGenerator:
    """The menu of downloads of a chart or table, at its lower right corner."""
    with st.container(key=f"menu_{key}", horizontal=True, horizontal_alignment="right"):
        return st.popover("Download", type="tertiary", help=capital(name), width="content")


def _csv(rows: pd.DataFrame, name: str) -> None:
    st.download_button(
        "Table as CSV",
        partial(csv, rows),
        file_name=file_name(name, "csv"),
        mime="text/csv",
        key=f"csv_{zlib.crc32(name.encode()):x}",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


def charts(figures: Sequence[tuple[str, go.Figure, str]], name: str) -> bytes:
    """Several charts, each with its title and the words under it, in one HTML file."""
    parts = []
    for place, (title, figure, alt) in enumerate(figures):
        drawn = _drawn(figure, include_plotlyjs=place == 0)
        parts.append(f"<h2>{html.escape(title)}</h2>{drawn}<p>{html.escape(alt)}</p>")
    return _PAGE.format(title=html.escape(name), caption="", chart="\n".join(parts)).encode()


def config(name: str) -> dict[str, Any]:
    """What Plotly offers above a chart: the camera, and what zooming needs."""
    picture = {"format": "png", "scale": 2, "filename": file_name(name)}
    return _PLOTLY | {
        "modeBarButtons": [["zoom2d", "resetScale2d", "toImage"]],
        "toImageButtonOptions": picture,
    }


def csv(rows: pd.DataFrame) -> bytes:
    """A table as CSV in UTF-8 without its index; text that a spreadsheet would run as a formula is made harmless."""
    safe = rows.rename(columns=_harmless)
    for place in range(safe.shape[1]):
        column = safe.iloc[:, place]
        if column.dtype.kind == "O":
            safe.isetitem(place, column.astype(object).map(_harmless))
    return safe.to_csv(index=False, lineterminator="\r\n").encode()


def web_page(figure: go.Figure, name: str, alt: str) -> bytes:
    """A chart with all it needs in one HTML file of about 5 MB; `alt` stands under it."""
    drawn = _drawn(figure, include_plotlyjs=True)
    return _PAGE.format(title=html.escape(capital(name)), caption=html.escape(alt), chart=drawn).encode()


def _drawn(figure: go.Figure, include_plotlyjs: bool) -> str:
    """A chart as a part of a page, on white."""
    shown = copy.deepcopy(figure).update_layout(
        template="plotly_white", paper_bgcolor="#fff", plot_bgcolor="#fff"
    )
    return shown.to_html(
        full_html=False, include_plotlyjs=include_plotlyjs, config=_PLOTLY | {"responsive": True}
    )


def is_here_alone(link: str) -> bool:
    """Whether an address leads each machine to itself, so that it is none to send to others."""
    return urlsplit(link).hostname in ("localhost", "127.0.0.1", "::1")


def file_name(name: str, ending: str = "") -> str:
    """A name for a file that every system takes: small letters, digits and hyphens."""
    clean = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")[:80].strip("-") or "dans"
    return f"{clean}.{ending}" if ending else clean


def _harmless(cell: Any) -> Any:
    return spreadsheet_text(cell) if isinstance(cell, str) else cell


# --- the toolbar's list ------------------------------------------------------------------------------------------


def share(run: Run | None) -> None:
    """What others need to see this view or to repeat its run: its address, the command, and files."""
    link = address()
    st.markdown("**The address of this view**")
    st.code(link, language=None, wrap_lines=True)
    st.caption(
        "It opens the same view in another browser that reaches this server"
        + (", which answers on this machine alone." if is_here_alone(link) else ".")
    )
    st.markdown(f"**On another machine with DANS Lab**  \n{_elsewhere(run)}")
    if run is None:
        return
    if not run.recorded:
        _whole(run)
    st.markdown("**The same run in a terminal**")
    st.code(run_export.command(run), language="bash", wrap_lines=True)
    st.caption("The same data, seed and settings give the same numbers.")
    st.markdown("**Files of this run**")
    _files(run)
    st.caption("All of these into a folder:")
    st.code(f"python -m dans_core export {run.id} --to FOLDER", language="bash", wrap_lines=True)


def _elsewhere(run: Run | None) -> str:
    """What opens where the program is, but not the runs folder of this machine; in Markdown."""
    there = (
        "Put what stands behind the host after the address of the app there. Settings and recorded runs open"
    )
    if run is None:
        return f"{there}; runs and data sets of your own do not."
    if run.recorded:
        return f"{there}, so this view opens as it is: its run came with the program."
    return (
        f"{there}. This run does not, since it lies on this machine alone: send its file along. Unpacked into the runs "
        "folder there (`runs` in the folder of the program, or `DANS_RUNS_DIR`) it opens, too, if the data set "
        f"“{markdown_text(run.meta.dataset)}” is there."
    )


def _whole(run: Run) -> None:
    """The file that carries the run."""
    size = run_archive.size(run)
    fits = size <= run_archive.LARGEST
    _file(
        "run.zip",
        partial(run_archive.archive, run),
        run,
        f"The whole run as it is now, {bytes_in_words(size)} before it is packed.",
        "" if fits else f"This run has {bytes_in_words(size)}; copy its folder {run.path} instead.",
    )


def address() -> str:
    """The full address of what is on the screen; the part behind the host where there is no browser."""
    url = urlsplit(st.context.url or "")
    return url._replace(path=url.path or "/", query=urlencode(pairs())).geturl()


def _files(run: Run) -> None:
    snapshots = run.snapshots()
    kept = f"the snapshot of epoch {snapshots[-1][0]:,}" if snapshots else ""
    missing = "" if snapshots else "This run has kept no snapshot yet."

    def of_snapshot(make: Callable[[run_export.Kept], bytes]) -> bytes:
        newest = run_export.newest_snapshot(run)
        if newest is None:
            raise InputError(f"run {run.id} has no snapshot any more")
        return make(newest)

    with st.container(horizontal=True, gap="small"):
        model(run)
        _file(
            "config.json",
            partial(run_export.config_json, run),
            run,
            "Settings, data set and its hash, versions, seed.",
        )
        _file(
            "metrics.csv",
            partial(run_export.metrics_csv, run),
            run,
            "All that was measured: epoch, name, value.",
        )
        _file(
            "negatives.csv",
            partial(of_snapshot, run_export.negatives_csv),
            run,
            f"Every negative kept with {kept}: nearest entity, cosine, scores, D’s opinion, known fact or not.",
            missing,
        )
        _file(
            "embeddings.zip",
            partial(of_snapshot, run_export.embeddings_zip),
            run,
            f"The entities of {kept} as vectors.tsv and metadata.tsv, for projector.tensorflow.org and TensorBoard, "
            "and with the fakes as points.parquet, for Embedding Atlas.",
            missing,
        )


def model(run: Run, place: str = "share") -> None:
    """A button for all that the command `export` writes; `place` stands once on a page."""
    weights = inspecting.checkpoints(run)
    which = theme.WEIGHTS[weights[0]].lower() if weights else ""
    _file(
        "model.zip",
        lambda: inspecting.export(run, weights[0]),
        run,
        f"The model as it was evaluated ({which}), in float32, with a card that says what it is worth, its triplets "
        "for PyKEEN and LibKGE, and all files of the run. It is ranked once more for that, which takes a moment.",
        "" if weights else "This run has kept no weights yet.",
        place,
    )


def _file(
    name: str, make: Callable[[], bytes], run: Run, about: str, missing: str = "", place: str = "share"
) -> None:
    """A button for a file of a run; `missing` says why there is none."""
    kind = name.rpartition(".")[2]
    st.download_button(
        name,
        partial(_or_sentence, make),
        file_name=f"{name.removesuffix('.' + kind)}-{run.id}.{kind}",
        mime={"csv": "text/csv", "json": "application/json", "zip": "application/zip"}[kind],
        key=f"{place}_{kind}_{name}",
        icon=":material/download:",
        on_click="ignore",
        disabled=bool(missing),
        help=missing or about,
    )


def _or_sentence(make: Callable[[], bytes]) -> bytes:
    """The file; where it cannot be made, a sentence that says why, since a failed download says nothing."""
    try:
        return make()
    except InputError as error:
        return f"This file could not be made: {error}.\n".encode()
