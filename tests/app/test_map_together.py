"""Several runs in one space: what a rotation hides comes to light, and nothing is stretched."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dans_app.map.together import together
from dans_lab.runs.frames import Frame
from tests import small_run


@pytest.fixture
def frame(nations) -> Frame:
    return Frame.of(small_run.arrays(nations, 5), nations.num_entities, nations.num_relations)


def changed(frame: Frame, change) -> Frame:
    return dataclasses.replace(
        frame, entities=change(frame.entities), fakes_e=change(frame.fakes_e), fakes_r=change(frame.fakes_r)
    )


def test_a_run_that_is_only_turned_mirrored_and_moved_has_the_same_map(frame):
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    made = together({"A": [frame], "B": [changed(frame, lambda points: points @ turn + 3.0)]})
    np.testing.assert_allclose(made.series["A"].points, made.series["B"].points, atol=1e-3)
    assert made.agreement["A"] == pytest.approx(1) and made.agreement["B"] == pytest.approx(1, abs=1e-4)


def test_nothing_is_stretched(frame):
    made = together({"A": [frame], "B": [changed(frame, lambda points: 2 * points)]})
    spread = {name: np.ptp(each.points, axis=(0, 1)) for name, each in made.series.items()}
    np.testing.assert_allclose(spread["B"], 2 * spread["A"], rtol=1e-3)
    left, right, bottom, top = made.bounds
    for each in made.series.values():
        inner = each.frame()
        assert left <= inner[0] and right >= inner[1] and bottom <= inner[2] and top >= inner[3]


def test_agreement_is_the_r_squared_of_the_best_rotation(frame, nations):
    """Against the best of many random rotations, which can only be worse, and the formula by hand."""
    other = Frame.of(small_run.arrays(nations, 6), nations.num_entities, nations.num_relations)
    found = together({"A": [frame], "B": [other]}).agreement["B"]
    a = frame.entities - frame.entities.mean(axis=0)
    b = other.entities - other.entities.mean(axis=0)

    def fit(turn: np.ndarray) -> float:
        return float((a * (b @ turn)).sum() ** 2 / ((a**2).sum() * (b**2).sum()))

    random = np.random.default_rng(0)
    tried = [fit(np.linalg.qr(random.normal(size=(8, 8)))[0]) for _ in range(200)]
    assert max(tried) < found < 1
    left, _, right = np.linalg.svd(b.T @ a)
    assert fit(left @ right) == pytest.approx(found, rel=1e-4)


def test_runs_of_other_dimensions_share_no_space(frame, nations):
    wide = Frame.of(small_run.arrays(nations, 5, dim=12), nations.num_entities, nations.num_relations)
    with pytest.raises(ValueError, match="8 and 12 dimensions"):
        together({"A": [frame], "B": [wide]})


def test_a_run_without_fakes_stands_beside_one_with(frame, nations):
    plain = Frame.of(small_run.arrays(nations, 5, gan=False), nations.num_entities, nations.num_relations)
    made = together({"A": [frame, frame], "B": [plain]})
    assert made.series["A"].points.shape == (2, frame.size, 2)
    assert made.series["B"].points.shape == (1, nations.num_entities, 2)
