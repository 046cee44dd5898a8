"""What the documentation shows in Python runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import dans_core
import dans_data
from dans_lab import prediction, tracking
from dans_lab.map.widget import MapWidget
from dans_lab.prediction import LoadedRun

ROOT = Path(__file__).resolve().parents[2]


def test_the_notebook_of_the_docs_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    text = (ROOT / "docs" / "python.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 8
    names: dict[str, object] = {}
    for place, block in enumerate(blocks):
        exec(compile(block, f"docs/python.md, block {place + 1}", "exec"), names)
    run = names["run"]
    assert isinstance(run, LoadedRun)
    assert f"# {(run.which, run.epoch)}" in blocks[0]
    sizes = f"({len(run.kg.entities)}, {len(run.kg.relations)}, {run.kg.train.shape})"
    assert f"# {sizes}" in blocks[1]
    assert isinstance(shown := names["shown"], MapWidget)
    assert f"# {('affects', shown.epochs[-1])}" in blocks[5] and shown.relation == "isa⁻¹"
    out = capsys.readouterr().out
    assert f"MRR {run.evaluate().mrr:.3f}" in out and "cell_function" in out
    assert "(docs/python.md)" in (ROOT / "README.md").read_text()


def run_blocks(name: str) -> dict[str, object]:
    """All Python of a page of docs, one block after the other; the names it leaves."""
    names: dict[str, object] = {}
    for place, block in enumerate(
        re.findall(r"```python\n(.*?)```", (ROOT / "docs" / name).read_text(), re.S)
    ):
        exec(compile(block, f"docs/{name}, block {place + 1}", "exec"), names)
    return names


def test_the_pipelines_of_the_page_on_pykeen_run(capsys):
    pytest.importorskip("pykeen")
    names = run_blocks("pykeen.md")
    assert names["game"].losses and "'ce_r'" in capsys.readouterr().out
    assert "(docs/pykeen.md)" in (ROOT / "README.md").read_text()


def test_the_modules_of_the_page_on_pytorch_geometric_run():
    torch.manual_seed(0)
    names = run_blocks("pyg.md")
    chances = names["chances"]
    assert isinstance(chances, torch.Tensor) and chances.shape == (10, 135)
    assert torch.allclose(chances.sum(1), torch.ones(10))
    assert "(docs/pyg.md)" in (ROOT / "README.md").read_text()


def test_every_public_name_has_its_place_on_a_page():
    """That each can be shown, and that no link leads nowhere, is what `mkdocs build --strict` says, in CI's style."""
    shown = set(
        re.findall(r"^::: (\S+)$", "".join(map(Path.read_text, (ROOT / "docs/api").glob("*.md"))), re.M)
    )
    constants = {name for name in dans_data.__all__ if name.isupper()} | {"Triplet"}
    public = [
        *(f"dans_core.{name}" for name in dans_core.__all__),
        *(f"dans_data.{name}" for name in dans_data.__all__ if name not in constants),
        *(f"dans_lab.prediction.{name}" for name in prediction.__all__),
        tracking.__name__,
        "dans_lab.pykeen.DansNegativeSampler",
        "dans_lab.pykeen.DansTrainingLoop",
        "dans_lab.pykeen.Game",
    ]
    assert [name for name in public if name not in shown] == []


def test_links_that_lead_nowhere_fail_the_build_of_ci(tmp_path):
    (build,) = re.findall(r"mkdocs (build .*?) --site-dir", (ROOT / ".ci/run").read_text())
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    # One page, without what takes seconds.
    small = {"site_name": "small", "theme": "mkdocs", "plugins": [], "validation": settings["validation"]}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(small))
    (tmp_path / "docs").mkdir()
    page = "# One\n\n[sound](index.md#one), [no page](nowhere.md), [no heading](index.md#nowhere)\n"
    (tmp_path / "docs" / "index.md").write_text(page)
    command = [sys.executable, "-m", "mkdocs", *build.split(), "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("WARNING") == 2, done.stderr


def test_the_site_shows_every_page():
    told = (ROOT / "mkdocs.yml").read_text()
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert len(pages) > 10 and [page for page in pages if f" {page}\n" not in told] == []
