"""Screens in a folder where some files are none of ours: each is told in a sentence, and all else is there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import small_run


@pytest.fixture(autouse=True)
def folder(tmp_path_factory, monkeypatch) -> Path:
    """A sound run, one whose log is cut, one with odd snapshots, three that are none; two studies that are none."""
    root = tmp_path_factory.mktemp("hostile") / "runs"
    monkeypatch.setenv("DANS_RUNS_DIR", str(root))
    sound = small_run.trained(root, "sound").path
    for name in ("cut", "odd", "pipe", "large", "number"):
        shutil.copytree(sound, root / name)
    log = (root / "cut" / "events.jsonl").read_bytes()
    (root / "cut" / "events.jsonl").write_bytes(log[: len(log) // 3])
    for file in (root / "odd" / "snapshots").iterdir():
        with np.load(file) as arrays:
            np.savez(file, **{**arrays, "epoch": np.array([1, 2]), "spread_e": np.zeros((3, 3), np.float32)})
    for name in ("pipe", "large"):
        (root / name / "status.json").unlink()
    os.mkfifo(root / "pipe" / "status.json")
    with (root / "large" / "status.json").open("wb") as file:
        file.truncate(6_000_000_000)
    status = (root / "number" / "status.json").read_text()
    (root / "number" / "status.json").write_text(status.replace('"epoch": 6', f'"epoch": 1{"0" * 400}'))
    for name, text in (("deep", "a = " + "[" * 50_000), ("long", f"seeds = {'9' * 5_000}")):
        (root / "studies" / name).mkdir(parents=True)
        (root / "studies" / name / "study.toml").write_text(text)
    return root


def shown(page: str, **query: str) -> str:
    """All that a page says, which raised nothing."""
    app = small_run.screen(page, **query)
    parts = [*app.warning, *app.error, *app.info, *app.markdown, *app.caption]
    return "\n".join(str(part.value) for part in parts)


def test_no_file_takes_a_screen_down():
    runs = shown("runs.py")
    for name in ("pipe", "large", "number"):
        assert name in runs
    studies = shown("studies.py")
    assert "deep" in studies and "long" in studies
    assert "is cut off: it tells of" in shown("train.py", run="cut")
    assert "is cut off" not in shown("train.py", run="sound")
    assert "do not match" in shown("map.py", run="odd")
    for page in ("diagnostics.py", "how.py", "triplet.py"):
        shown(page, run="cut")
        shown(page, run="odd")
