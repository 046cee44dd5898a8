"""What is said of the negatives of a run, for both readings of fakes."""

from __future__ import annotations

import pytest

from dans_core.config import Config
from dans_lab.names import PROPOSES, about_fakes, about_negatives
from dans_lab.presets import PRESETS


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {},
            "Every answer has 20 negatives: entities, weighed, that G_E and G_R propose; half of each proposal is "
            "random.",
        ),
        (
            {"pathways": "G_R", "negatives": 1, "random_share": 0.25},
            "Every answer has 1 negative: entities, weighed, that G_R proposes; 25 % of each proposal is random.",
        ),
        (
            PRESETS["fakes-as-negatives"],
            "Every query has 20 negatives: 5 fakes of G_E, 5 fakes of G_R and 10 random entities.",
        ),
        (
            {"reading": "vectors", "random_negatives": False},
            "Every query has 20 negatives: 10 fakes of G_E and 10 fakes of G_R.",
        ),
        (PRESETS["released-faults"], "Every query has 20 negatives: 10 fakes of G_R and 10 random entities."),
        ({"sampler": "uniform"}, ""),
    ],
)
def test_how_many_negatives_come_from_where(settings, said):
    assert about_negatives(Config(**settings)) == said


def test_fakes_are_explained_where_they_are_no_negatives():
    assert about_fakes(Config()) == PROPOSES
    assert about_fakes(Config(reading="vectors")) == about_fakes(Config(sampler="kbgan")) == ""
