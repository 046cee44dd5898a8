"""Events: the record of one is the event again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dans_core.events import from_dict, to_dict
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
