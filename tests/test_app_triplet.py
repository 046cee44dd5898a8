"""The Triplet screen without a browser: its choices, its verdict, its table, and what an address may ask."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app import triplet_table, wanted
from dans_core import runs as core_runs
from dans_core.inspection import Inspection, Row
from dans_core.runs import Run
from tests import small_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with two finished runs, made once."""
    folder = tmp_path_factory.mktemp("trained")
    small_run.trained(folder, "with-gan")
    small_run.trained(folder, "without-gan", sampler="uniform")
    return folder


@pytest.fixture(autouse=True)
def alone(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(trained))
    monkeypatch.setattr(core_runs, "RECORDED", tmp_path / "recorded")
    st.cache_resource.clear()
    st.cache_data.clear()


screen = partial(small_run.screen, "triplet.py")


def asked(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def words(app: AppTest) -> str:
    return "\n".join(item.value for kind in ("markdown", "caption", "info") for item in app.get(kind))


def row(
    source: str, score: float, known: str | None = None, d_aux: float | None = 0.7, name: str = "x"
) -> Row:
    return Row(source, 0, name, 0, 0.8, 1.1, score, None if d_aux is None else 0.4, d_aux, known)


# --- words, table, picture


def test_the_verdict_counts_what_a_person_would_count():
    negatives = [
        row("G_R", s, k) for s, k in ((-9, None), (1, "train"), (0.5, "test"), (-9, None), (-9, None))
    ]
    negatives += [row("random", s) for s in (0.7, -1, -2)]
    seen = Inspection(row("positive", 2.0), tuple(negatives))
    assert triplet_table.sentence("G_R", seen).replace("**", "") == (
        "Of 5 fakes of G_R, 0 outscore the positive, 1 outscores every random negative, "
        "2 are known facts (false negatives)."
    )
    assert triplet_table.sentence("random", seen).replace("**", "") == (
        "Of 3 random negatives, 0 outscore the positive, 0 are known facts."
    )
    single = Inspection(row("positive", 0.0), (row("G_E", 1.0, "train"),))
    assert triplet_table.sentence("G_E", single).replace("**", "") == (
        "Of 1 fake of G_E, 1 outscores the positive, 1 is a known fact (a false negative)."
    )


def test_d_aux_is_told_as_a_guess_and_only_of_fakes():
    assert triplet_table.opinion(row("G_E", 0, d_aux=0.9)) == "G_R, 90 %"
    assert triplet_table.opinion(row("G_R", 0, d_aux=0.2)) == "G_E, 80 %"
    assert triplet_table.opinion(row("random", 0, d_aux=0.2)) == "–"
    assert triplet_table.opinion(row("G_E", 0, d_aux=None)) == "–"


def test_hover_escapes_names_and_the_strip_has_every_negative():
    negatives = tuple(
        row(source, i, name="<i>a&b</i>") for source in ("G_E", "G_R", "random") for i in range(7)
    )
    figure = triplet_table.strip(Inspection(row("positive", 3.0), negatives))
    points = [trace for trace in figure.data if trace.customdata is not None]
    assert [len(trace.x) for trace in points] == [7, 7, 7]
    for trace in points:
        assert all("&lt;i&gt;a&amp;b&lt;/i&gt;" in text and "<i>" not in text for text in trace.hovertext)


# --- what an address may ask


def test_a_triplet_is_found_by_its_names_and_turned_for_fake_heads(nations):
    head, relation, tail = (int(i) for i in nations.array("test")[7])
    names = (nations.entities[head], nations.relations[relation], nations.entities[tail])
    found, problems = wanted.triplet(*names, None, nations)
    assert (found.head, found.relation, found.tail, found.side, problems) == (
        head,
        relation,
        tail,
        "tail",
        [],
    )
    assert found.query(nations) == (head, relation, tail)
    turned, problems = wanted.triplet(*names, "head", nations)
    assert turned.query(nations) == (tail, relation + nations.num_relations, head) and not problems
    reciprocal, problems = wanted.triplet(names[2], names[1] + "⁻¹", names[0], None, nations)
    assert reciprocal == turned and not problems


def test_missing_parts_are_filled_in_with_a_fact(nations):
    found, _ = wanted.triplet(None, None, None, None, nations)
    assert nations.split_of(found.head, found.relation, found.tail) == "test"
    found, _ = wanted.triplet("brazil", None, None, None, nations)
    assert nations.entities[found.head] == "brazil"
    assert nations.split_of(found.head, found.relation, found.tail) is not None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"head": "brasil"}, 'has no head “brasil”; did you mean "brazil"'),
        ({"relation": "embasy"}, "has no relation “embasy”"),
        ({"tail": "<img src=x onerror=alert(1)>"}, "has no tail"),
        ({"head": "\x00\ud7ff" * 9000}, "has no head"),
        ({"side": "both"}, "tail or head"),
        ({"draws": "1e9"}, "5 or 20 or 50"),
        ({"weights": "../../etc/passwd"}, "best or last"),
        ({"head": "[a](javascript:b)", "relation": "no", "tail": "no"}, "has no head “[a](javascript:b)”"),
    ],
)
def test_an_address_with_a_wrong_part_gets_one_sentence_and_a_triplet(query, said):
    app = screen(run="with-gan", **query)
    assert len(app.warning) == 1
    text = app.warning[0].value
    assert said in re.sub(r"\\(.)", r"\1", text) and len(text) < 500
    assert not re.search(r"(?<!\\)[<\[]", text)
    assert "a fact of **" in words(app) or "no known fact" in words(app)
    app.button[0].click().run()


# --- the screen


def test_the_screen_shows_all_sources_and_puts_the_triplet_in_the_url():
    app = screen(run="with-gan", head="brazil", relation="embassy", tail="china")
    for part in ("(brazil, embassy, china) is", "fakes of G_E", "fakes of G_R", "random negatives"):
        assert part in words(app)
    table = app.dataframe[0].value
    assert table["source"].tolist() == ["Positive"] + ["G_E"] * 5 + ["G_R"] * 5 + ["Random"] * 5
    assert table["nearest entity"][0] == "china" and table["against positive"][0] == 0
    assert [asked(app, name) for name in ("run", "head", "relation", "tail", "side")] == [
        "with-gan", "brazil", "embassy", "china", None
    ]  # fmt: skip
    element = app.get("plotly_chart")[0].proto
    assert "The positive has" in element.alt and len(json.loads(element.spec)["data"]) >= 4


def test_known_answers_stand_first_with_a_mark(nations):
    app = screen(run="with-gan", head="brazil", relation="embassy", tail="china")
    options = app.selectbox(key="triplet_tail").options
    answers = nations.answers(nations.entity_id("brazil"), nations.relation_id("embassy"))
    known = {nations.entities[i] for ids in answers.values() for i in ids}
    assert {option.removeprefix("✓ ") for option in options[: len(known)]} == known
    assert all(option.startswith("✓ ") for option in options[: len(known)])
    assert not any(option.startswith("✓ ") for option in options[len(known) :])
    assert len(options) == nations.num_entities


def test_choices_change_the_url_and_the_table(nations):
    app = screen(run="with-gan", head="brazil", relation="embassy", tail="china")
    app.selectbox(key="triplet_head").set_value(nations.entity_id("cuba")).run()
    assert asked(app, "head") == "cuba" and asked(app, "tail") == "china"
    scores = app.dataframe[0].value["score"].tolist()
    app.button[0].click().run()  # draw again
    again = app.dataframe[0].value["score"].tolist()
    assert again[0] == scores[0] and again != scores
    app.segmented_control(key="triplet_draws").set_value("20").run()
    assert len(app.dataframe[0].value) == 61 and asked(app, "draws") == "20"
    app.segmented_control(key="triplet_side").set_value("head").run()
    assert asked(app, "side") == "head" and app.dataframe[0].value["nearest entity"][0] == "cuba"


def test_a_random_test_triplet_is_one(nations):
    app = screen(run="with-gan")
    app.button[1].click().run()
    assert "is a fact of **test**" in words(app)
    assert asked(app, "head") in nations.entities


def test_both_weights_can_be_looked_at():
    app = screen(run="with-gan", weights="last")
    assert "Weights of epoch 6" in words(app)


def test_a_run_without_a_gan_has_random_negatives_only():
    app = screen(run="without-gan")
    assert "random negatives only" in words(app)
    table = app.dataframe[0].value
    assert set(table["source"]) == {"Positive", "Random"} and "D_adv" not in table
    assert app.segmented_control(key="triplet_side").options == ["Random tails", "Random heads"]
    assert screen(run="with-gan").segmented_control(key="triplet_side").options == [
        "Fake tails",
        "Fake heads",
    ]


def test_a_run_without_weights_and_no_run_at_all_are_friendly(tmp_path, nations, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "none"))
    assert "There is no run yet" in words(screen())
    small_run.drawn(tmp_path / "none", nations, "nations", "bare")
    assert "kept no weights" in words(screen(run="bare"))


def test_a_damaged_checkpoint_is_one_sentence(tmp_path, trained, monkeypatch):
    import shutil

    shutil.copytree(trained / "with-gan", tmp_path / "runs" / "with-gan")
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    (Run(tmp_path / "runs" / "with-gan").path / "best.pt").write_bytes(b"broken")
    app = screen(run="with-gan")
    assert len(app.error) == 1 and "cannot be inspected" in app.error[0].value
