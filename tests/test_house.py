"""The house: floors whose arrows go one way, as pyproject.toml says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


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
