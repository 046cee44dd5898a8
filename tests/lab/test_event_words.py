"""What is said of the fields of events is said of all of them, and of none that does not exist."""

from __future__ import annotations

import dataclasses

from dans_core.events import Diagnostics, Losses, PathwayHealth, SampledHealth
from dans_lab.event_words import LOSSES, PATHWAY, SAMPLED


def fields(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def test_all_that_is_said_of_fields_is_of_fields_that_there_are():
    assert tuple(LOSSES) == ("base", "g_e", "g_r", "d_adv", "d_aux")
    assert LOSSES.keys() <= set(fields(Losses))
    assert all(said.about.endswith(".") for said in LOSSES.values())
    assert list(SAMPLED) == fields(SampledHealth)
    assert list(PATHWAY) == fields(PathwayHealth), "a figure without a title is in no table"
    titles = [said.title for said in PATHWAY.values()]
    assert len(set(titles)) == len(titles)
    others = [name for said in PATHWAY.values() for name in (said.random, said.positive) if name]
    assert set(others) <= set(fields(Diagnostics)) and len(set(others)) == len(others)


def test_every_form_reads_a_number():
    for name, said in PATHWAY.items():
        assert said.form == "%" or format(12.345, said.form), name
