"""The house: floors whose arrows go one way, as pyproject.toml says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDES = [path.name for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"]


def lint(config: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the contracts in this file."""
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [command, "--no-cache", config],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_every_arrow_goes_down():
    done = lint(ROOT / "pyproject.toml")
    assert done.returncode == 0, done.stdout


def test_an_arrow_that_goes_up_is_seen(tmp_path):
    """The same contracts turned upside down are broken: the check looks at real imports."""
    contracts = (ROOT / "pyproject.toml").read_text()
    layers = '"pages", "dans_app", "dans_lab", "dans_core", "dans_data"'
    assert layers in contracts
    turned = tmp_path / "pyproject.toml"
    turned.write_text(contracts.replace(layers, ", ".join(reversed(layers.split(", ")))))
    done = lint(turned)
    assert done.returncode == 1 and "dans_lab is not allowed to import dans_core" in done.stdout


def pins(*files: str) -> set[str]:
    """The packages that these lists name themselves."""
    lines = [line.strip() for file in files for line in (ROOT / file).read_text().splitlines()]
    return {line for line in lines if line and not line.startswith(("#", "-r"))}


def test_pyproject_names_the_packages_of_the_lists_and_no_others():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(project["dependencies"]) == pins("requirements.txt")
    tested = {pin for name in ("dev", "ray", "rdf", "oidc", "notebook") for pin in extras[name]}
    assert tested == pins("requirements-dev.txt")
    light = {pin for pin in extras["track"] if pin.startswith("tensorboard==")}
    assert len(light) == 1 and light <= set(extras["dev"])
    assert all("==" in pin for pin in pins("requirements.txt", "requirements-dev.txt"))


def paths_in(text: str) -> set[str]:
    """What stands in backquotes or behind a link and looks like a path of this repository."""
    found = re.findall(r"`([\w./-]+)`|\]\(([\w./-]+)\)", text)
    tops = {path.name for path in ROOT.iterdir()}
    return {path for pair in found for path in pair if path.split("/")[0] in tops}


@pytest.mark.parametrize("guide", GUIDES)
def test_every_path_that_a_guide_names_is_there(guide):
    named = paths_in((ROOT / guide).read_text())
    assert named and {path for path in named if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", sorted((ROOT / "pages").glob("*.py")), ids=lambda page: page.stem)
def test_every_page_lets_the_entry_run_first(page):
    """Else a deep link to a fresh server shows it without menu and layout (`shell.guard`)."""
    lines = page.read_text(encoding="utf-8").splitlines()
    # Nothing before it is done where the page is run: those are names and functions.
    assert lines.count("shell.guard()") == 1
    assert not [
        line for line in lines[: lines.index("shell.guard()")] if line.startswith(("st.", "show", "shell."))
    ]


MOST_LINES = 3_200
"""An hour's reading."""


def test_the_method_can_be_read_in_an_hour():
    """All of `dans_core` but the samplers that DANS is compared with and the fast forms of formulas."""
    left_out = (ROOT / "dans_core/samplers/baselines", ROOT / "dans_core/kernels")
    files = [
        file
        for file in (ROOT / "dans_core").rglob("*.py")
        if not any(folder in file.parents for folder in left_out)
    ]
    lines = {str(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert len(lines) > 15
    assert sum(lines.values()) <= MOST_LINES, sorted(lines.items(), key=lambda item: -item[1])


def test_the_guide_leads_through_the_whole_method():
    """Every file of `dans_core` itself stands in ARCHITECTURE.md, and every method of a class that it names exists."""
    guide = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    files = [file.name for file in (ROOT / "dans_core").glob("*.py") if file.name != "__init__.py"]
    assert [name for name in files if f"`dans_core/{name}`" not in guide] == []
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "dans_core").rglob("*.py")]
    named = re.findall(r"`([A-Z]\w+)\.(\w+)`", guide)
    assert named
    for kind, part in named:
        assert any(
            re.search(rf"class {kind}\b", text) and re.search(rf"\b{part}\b", text) for text in sources
        ), kind
