"""What the tests of all screens share."""

from __future__ import annotations

import functools

import pytest
from streamlit.components.v2 import manifest_scanner

from dans_app.server import jobs, loading

LATER = 3600.0


@pytest.fixture(autouse=True, scope="session")
def installed_packages_are_scanned_once():
    """Streamlit reads what every installed package says of itself, anew in each session."""
    with pytest.MonkeyPatch.context() as patch:
        scan = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(autouse=True)
def nothing_is_made_ready_ahead(monkeypatch):
    """A server has workers, torch and UMAP ready before anyone asks; each test would leave a set of them behind."""
    for delay in ("FIRST_SCREEN", "FIRST_EPOCHS"):
        monkeypatch.setattr(jobs, delay, LATER)
    for delay in ("IMPORT_DELAY", "WARM_UP_DELAY"):
        monkeypatch.setattr(loading, delay, LATER)
    yield
    jobs.pool().close()
