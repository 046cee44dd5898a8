"""Where the best weights of a run are of its warm-up, every screen says so, and Compare is silent."""

from __future__ import annotations

from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from dans_lab import warm_up
from dans_lab.runs.run import Run
from tests import small_run

EARLY = {"warmup_epochs": 5, "lr": 0.1}
"""With these the best of epochs 3 and 6 is the first."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    small_run.trained(root, "early", **EARLY)
    small_run.trained(root, "twin", sampler="uniform", **EARLY)
    return root


@pytest.fixture(autouse=True)
def alone(folder, tmp_path, monkeypatch):
    small_run.only(folder, tmp_path, monkeypatch)


compare = partial(small_run.screen, "compare.py", runs="early,twin")


def words(app: AppTest) -> str:
    kinds = ("markdown", "caption", "warning", "info")
    return "\n".join(item.value for kind in kinds for item in app.get(kind))


def test_a_run_that_has_not_met_the_gan_gets_no_verdict_beside_its_twin(folder):
    early = Run(folder / "early")
    assert early.status.best_epoch == 3, "which this test is about"
    app = compare()
    withheld = warm_up.withheld("A", early, "best")
    assert f"No verdict: T{withheld[1:]}." in words(app)
    for verdict in ("no difference that", "ranks higher", "ranks lower", "Over the 201 triplets"):
        assert verdict not in words(app)
    assert any("MRR" in table.value for table in app.dataframe), "the figures themselves stay"

    app = compare(weights="last")
    assert "No verdict" not in words(app) and "Over the" in words(app)


def test_others_are_compared_while_one_is_withheld(folder):
    small_run.trained(folder, "other-seed", sampler="uniform", seed=1, **EARLY)
    app = compare(runs="twin,early,other-seed")
    assert warm_up.withheld("B", Run(folder / "early"), "best")[1:] in words(app)
    assert "B and A" not in words(app) and "B ranks" not in words(app)
    assert "C and A" in words(app) or "C ranks" in words(app)


@pytest.mark.parametrize(
    ("page", "query"),
    [("predict.py", {}), ("triplet.py", {"weights": "best"}), ("train.py", {})],
)
def test_every_screen_of_the_run_says_so(folder, page, query):
    said = warm_up.told_of(Run(folder / "early"), "best")
    opened = small_run.app if page == "train.py" else partial(small_run.screen, page)
    assert said in words(opened(run="early", **query))
    assert "lies in the warm-up, which" not in words(opened(run="twin", **query))
