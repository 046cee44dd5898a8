"""Events: what is said of their fields stands with them, and a record of one is the event again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from dans_core.events import (
    LOSSES,
    Diagnostics,
    Losses,
    PathwayHealth,
    SampledHealth,
    from_dict,
    to_dict,
    told,
)
from dans_lab.runs.events_file import read_events

RECORDED = sorted((Path(__file__).resolve().parents[2] / "assets" / "recorded").glob("*/events.jsonl"))


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.parent.name)
def test_the_record_of_an_event_is_the_event_again(file):
    events = read_events(file, file.read_bytes(), 0)
    assert {event.kind for event in events} >= {"losses", "ranking", "diagnostics", "snapshot", "finished"}
    assert [from_dict(to_dict(event)) for event in events] == events
    assert [from_dict(json.loads(json.dumps(to_dict(event)))) for event in events] == events


def test_a_record_of_no_event_is_refused():
    with pytest.raises(KeyError):
        from_dict({"event": "surprise", "epoch": 1})


def test_all_that_is_said_of_fields_is_of_fields_that_there_are():
    fields = {
        kind: {field.name for field in dataclasses.fields(kind)}
        for kind in (Losses, PathwayHealth, Diagnostics)
    }
    assert tuple(told(Losses)) == LOSSES == ("base", "g_e", "g_r", "d_adv", "d_aux")
    assert all(said.about.endswith(".") for said in told(Losses).values())
    assert told(PathwayHealth).keys() == fields[PathwayHealth], "a figure without a title is in no table"
    assert told(SampledHealth).items() <= told(PathwayHealth).items()
    titles = [said.title for said in told(PathwayHealth).values()]
    assert len(set(titles)) == len(titles)
    others = [name for said in told(PathwayHealth).values() for name in (said.random, said.positive) if name]
    assert set(others) <= fields[Diagnostics] and len(set(others)) == len(others)


def test_every_form_reads_a_number():
    for name, said in told(PathwayHealth).items():
        assert said.form == "%" or format(12.345, said.form), name
