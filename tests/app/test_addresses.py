"""Every screen opened at addresses in which every parameter is something else: a sentence at most, never a failure."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest

from dans_app.shared import bookmarks, lesson_place, screen, settings, tour
from dans_app.shared.spelling import DATASET
from dans_app.train import failing
from dans_core.config import Config
from tests import small_run

PAGES = sorted(page.name for page in (small_run.ROOT / "pages").glob("*.py"))

HOSTILE = [
    "inf", "-inf", "1e999", "nan", "-1", "0", "9" * 400, "1.5", "1e5", "0x10", "1_000", "٣", "", " ", "null", "true",
    "None", "[]", "{}", "../../etc/passwd", "<img src=x onerror=alert(1)>", "\u202e\u0000x", "a" * 5_000, "'; DROP",
    "[click](http://x)", ",".join(["x"] * 300), "%", "-", "run", "a,b", "/(a+)+$/",
]  # fmt: skip


def parameters() -> list[str]:
    """All names that a screen may look for in its address, as the code says them, and those of settings."""
    code = "".join(
        file.read_text()
        for folder in ("dans_app", "pages")
        for file in sorted((small_run.ROOT / folder).rglob("*.py"))
    )
    said = re.findall(r"(?:raw|segmented|keep|choose|query_params(?:\.get)?)[(\[]\s*\"([a-z_]+)\"", code)
    of_lessons = [lesson_place.LESSON, lesson_place.STEP, lesson_place.SAID]
    named = [screen.PRESENT, tour.KEY, bookmarks.TICKET, failing.PRESET, DATASET, *of_lessons]
    fields = [spelling for name in Config.model_fields for spelling in (settings.key(name), name)]
    return sorted({*said, *named, *fields})


@pytest.fixture(autouse=True)
def folder(tmp_path_factory, monkeypatch) -> Path:
    """A folder without runs, so that the recorded ones are shown."""
    root = tmp_path_factory.mktemp("addresses") / "runs"
    monkeypatch.setenv("DANS_RUNS_DIR", str(root))
    return root


def open_at(page: str, turn: int) -> None:
    """The page where each parameter has another of the hostile values, and other ones with each turn."""
    query = {
        name: HOSTILE[(zlib.crc32(name.encode()) + turn) % len(HOSTILE)]
        for name in parameters()
        if name not in ("run", "hide")
    }
    app = small_run.screen(page, **query)
    for said in (*app.warning, *app.error):
        assert len(said.value) < 500, said.value


def test_the_table_has_what_screens_look_for():
    found = parameters()
    for name in (
        "run",
        "epoch",
        "relation",
        "seed",
        "epochs",
        "set_lr",
        "tour",
        "lesson",
        "hide",
        "stop",
        "part",
    ):
        assert name in found, name
    assert len(found) > 100


@pytest.mark.parametrize("page", PAGES)
def test_a_screen_opens_whatever_its_address_says(page):
    open_at(page, turn=0)


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(1, len(HOSTILE)))
@pytest.mark.parametrize("page", PAGES)
def test_a_screen_opens_at_every_value_of_every_parameter(page, turn):
    open_at(page, turn)


@pytest.mark.parametrize("value", ["inf", "-inf", "1e999", "nan", "9" * 400, "-1e400", "1e30"])
def test_no_number_of_a_setting_fails_the_form(value):
    """Every setting has it at once; the settings that cannot be so are said, and each has its default."""
    app = small_run.screen("train.py", **{settings.key(name): value for name in Config.model_fields})
    assert "its default stands" in app.warning[0].value
    for name in ("epochs", "seed", "dim", "lr"):
        assert settings.key(name) not in app.query_params
