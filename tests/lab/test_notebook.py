"""How notebooks show graphs, runs, answers and studies; and the notebook of the docs, run again."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from dans_core import KnowledgeGraph
from dans_lab.prediction import load_run
from dans_lab.prediction.loaded import MOST_SHOWN, Answer, Answers
from dans_lab.study.folder import Study
from dans_lab.study.report import read_study

ROOT = Path(__file__).resolve().parents[2]


class Read(HTMLParser):
    """Which tags there are, whether they close, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        assert not any("color" in str(value) for _, value in attrs), "light or dark as the notebook is"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


HOSTILE = "<script>alert(1)</script>"


def test_a_graph_is_its_counts_with_names_escaped():
    rows = [(HOSTILE, "is & was", "b"), ("b", "is & was", "c" * 300)]
    kg = KnowledgeGraph.from_names({"train": rows, "valid": [], "test": []}, name="<i>mine</i>")
    read = Read(kg._repr_html_())
    assert "script" not in read.tags and "i" not in read.tags
    assert HOSTILE in read.text and "<i>mine</i>" in read.text and "is & was" in read.text
    assert "c" * 81 not in read.text


def test_a_run_is_its_method_and_what_it_came_to():
    run = load_run("umls-complex-dans")
    for shown in (run._repr_html_(), run.run._repr_html_()):
        text = Read(shown).text
        assert "umls-complex-dans" in text and "ComplEx" in text and "DANS" in text
        assert f"{run.run.status.best_mrr:.3f}" in text
    assert "best weights, of epoch 180" in Read(run._repr_html_()).text


def test_answers_are_a_table_and_still_a_list():
    run = load_run("umls-complex-dans")
    found = run.predict(head="enzyme", relation="affects", top=3)
    text = Read(found._repr_html_()).text
    assert isinstance(found, list) and all(answer.tail in text for answer in found)
    assert isinstance(run.score([("enzyme", "affects", "cell_function")]), Answers)
    many = Answers(Answer(HOSTILE, "r", "t", 1.0, None, None, None) for _ in range(MOST_SHOWN + 7))
    read = Read(many._repr_html_())
    assert read.tags.count("tr") == MOST_SHOWN + 1 and "and 7 more" in read.text and "script" not in read.tags


def test_a_study_is_its_report():
    read = read_study(Study(ROOT / "results" / "umls" / "samplers-umls"))
    shown = read._repr_markdown_()
    assert shown.startswith("# ") and "## What was run" in shown and "![" not in shown


def test_the_notebook_of_the_docs_gives_what_it_shows(tmp_path, monkeypatch):
    """Its cells, run again, have the same outputs; numbers of a training may differ in the last place."""
    from assets.notebook import FILE, executed

    monkeypatch.chdir(tmp_path)
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    again = executed()
    assert [cell["source"] for cell in kept["cells"]] == [cell["source"] for cell in again["cells"]]
    for before, now in zip(kept["cells"], again["cells"], strict=True):
        shown = [
            [(out["output_type"], *out.get("data", ())) for out in of.get("outputs", ())]
            for of in (before, now)
        ]
        assert shown[0] == shown[1]
    for place in (1, 8):
        assert kept["cells"][place]["outputs"] == again["cells"][place]["outputs"]
    assert drawn_in(kept) == drawn_in(again)


def drawn_in(notebook: dict[str, Any]) -> tuple[object, ...]:
    """The script of the map in the last cell and what it is of; numbers on which machines differ are left out."""
    view = notebook["cells"][-1]["outputs"][-1]["data"]["application/vnd.jupyter.widget-view+json"]
    models = notebook["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    state = models[view["model_id"]]["state"]
    assert state["layout"].removeprefix("IPY_MODEL_") in models
    (plate,) = state["data"]["plates"]
    places = [plate[name] for name in ("epochs", "names", "method", "xy")]
    return (
        state["_esm"],
        state["styles"],
        state["shown"],
        state["relations"],
        plate["view"]["heads"],
        *places,
    )
