"""The Triplet screen without a browser: its choices, cards, table and two closed parts, and what an address may ask."""

import json
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from dans_app.server import inspecting
from dans_app.shared import other_runs, theme, url_values
from dans_app.triplet import asked as triplet_asked
from dans_core import Config, KnowledgeGraph
from dans_lab.names import PROPOSES
from dans_lab.runs.folder import write_about
from dans_lab.runs.run import Run, list_runs
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.examples import examples
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with two finished runs that are twins, one of other data, and one without weights, made once."""
    folder = tmp_path_factory.mktemp("trained")
    small_run.trained(folder, "with-gan")
    small_run.trained(folder, "without-gan", sampler="uniform")
    small_run.drawn(folder, KnowledgeGraph.load("umls"), "umls", "other-data")
    small_run.drawn(folder, KnowledgeGraph.load("nations"), "nations", "bare")
    return folder


@pytest.fixture(autouse=True)
def alone(trained, tmp_path, monkeypatch):
    small_run.only(trained, tmp_path, monkeypatch)


screen = partial(small_run.screen, "triplet.py")
BRAZIL = {"head": "brazil", "relation": "embassy", "tail": "china"}


def asked(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def words(app: AppTest) -> str:
    return "\n".join(item.value for kind in ("markdown", "caption", "info") for item in app.get(kind))


# --- runs beside this one


def test_runs_beside_are_on_the_same_data_and_have_weights(trained, nations):
    run = Run(trained / "with-gan")
    known = other_runs.others(run, nations)
    assert list(known) == ["without-gan"]
    assert other_runs.wanted(None, run, nations, known) == (["without-gan"], None)
    assert other_runs.wanted("none", run, nations, known) == ([], None)
    assert (
        other_runs.address([], run, known) == "none"
        and other_runs.address(["without-gan"], run, known) is None
    )
    for text, said in (
        ("other-data", "other data (UMLS)"),
        ("bare", "kept no weights"),
        ("with-gan", "beside itself"),
        ("no-such-run", "There is no run “no\\-such\\-run” on this machine"),
        ("../../etc/passwd", "not the name of a run"),
    ):
        chosen, problem = other_runs.wanted(f"{text},without-gan", run, nations, known)
        assert chosen == ["without-gan"] and said in problem


@examples(30, HealthCheck.function_scoped_fixture)
@given(some.text(max_size=60))
def test_whatever_an_address_says_of_runs_the_answer_can_be_shown(trained, nations, text):
    run = Run(trained / "with-gan")
    known = other_runs.others(run, nations)
    chosen, problem = other_runs.wanted(text, run, nations, known)
    assert set(chosen) <= set(known) and len(chosen) <= other_runs.MOST
    assert problem is None or (len(problem) < 300 and not re.search(r"(?<!\\)[<\[]", problem))


def test_runs_are_told_apart_by_their_settings_then_by_their_ids(tmp_path, nations):
    def made(run_id: str, **values) -> Run:
        config = Config(epochs=10, warmup_epochs=2, **values)
        with RunWriter.create(tmp_path, run_id, config, nations.name, nations.hash, "nations") as writer:
            return writer.run

    run = made("a")
    others = [
        made("b", sampler="uniform", seed=1),
        made("c", decoder="rotate"),
        made("d", sampler="uniform", seed=1),
        made("e", dim=10, layers=1, bases=2),
    ]
    assert other_runs.labels(run, others) == {
        "a": "DANS",
        "b": "Uniform · seed 1",
        "c": "DANS · RotatE",
        "d": "d",
        "e": "DANS · dim 10 · layers 1 · …",
    }
    write_about(others[1], "my <b>run</b>", "")
    assert other_runs.labels(run, others)["c"] == "my <b>run</b>"


def test_more_than_three_runs_are_too_many(tmp_path, trained, nations, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    for name in "abcde":
        shutil.copytree(trained / "with-gan", tmp_path / name)
    run = Run(tmp_path / "a")
    known = other_runs.others(run, nations)
    chosen, problem = other_runs.wanted("e,d,c,b", run, nations, known)
    assert chosen == ["e", "d", "c"] and "At most 3 runs" in problem


# --- what an address may ask


def test_a_triplet_is_found_by_its_names_and_turned_for_fake_heads(nations):
    head, relation, tail = (int(i) for i in nations.array("test")[7])
    names = (nations.entities[head], nations.relations[relation], nations.entities[tail])
    found, problems = url_values.triplet(*names, None, nations)
    assert (found.head, found.relation, found.tail, found.side, problems) == (
        head,
        relation,
        tail,
        "tail",
        [],
    )
    assert found.query(nations) == (head, relation, tail)
    turned, problems = url_values.triplet(*names, "head", nations)
    assert turned.query(nations) == (tail, relation + nations.num_relations, head) and not problems
    reciprocal, problems = url_values.triplet(names[2], names[1] + "⁻¹", names[0], None, nations)
    assert reciprocal == turned and not problems


def test_missing_parts_are_filled_in_with_a_fact(nations):
    found, _ = url_values.triplet(None, None, None, None, nations)
    assert nations.split_of(found.head, found.relation, found.tail) == "test"
    found, _ = url_values.triplet("brazil", None, None, None, nations)
    assert nations.entities[found.head] == "brazil"
    assert nations.split_of(found.head, found.relation, found.tail) is not None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"head": "brasil"}, 'has no head “brasil”; did you mean "brazil"? Another is shown instead.'),
        ({"relation": "embasy"}, "has no relation “embasy”"),
        ({"tail": "<img src=x onerror=alert(1)>"}, "has no tail"),
        ({"head": "\x00\ud7ff" * 9000}, "has no head"),
        ({"side": "left"}, "tail or head or both"),
        ({"draws": "1e9"}, "5 or 20 or 50"),
        ({"weights": "../../etc/passwd"}, "best or last"),
        ({"draw": "0"}, "a whole number from 1 to 1,000,000"),
        ({"draw": "٣" * 500}, "a whole number"),
        ({"with": "../../etc/passwd"}, "not the name of a run to be shown beside"),
        ({"with": "<img src=x onerror=alert(1)>" * 900}, "not the name of a run to be shown beside"),
        ({"with": "other-data"}, "was trained on other data"),
        ({"head": "[a](javascript:b)", "relation": "no", "tail": "no"}, "has no head “[a](javascript:b)”"),
    ],
)
def test_an_address_with_a_wrong_part_gets_one_sentence_and_a_triplet(trained, nations, query, said):
    """Asked of what reads the address; the next test asks the screen."""
    found = []
    app = AppTest.from_function(
        _read, args=(found, Run(trained / "with-gan"), nations), default_timeout=PATIENCE
    )
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    (triplet, draw), text = found[-1], app.warning[0].value
    assert said in re.sub(r"\\(.)", r"\1", text) and len(text) < 500
    assert not re.search(r"(?<!\\)[<\[]", text)
    assert 0 <= triplet.head < nations.num_entities and 0 <= triplet.relation < nations.num_relations
    assert draw == 1 and asked(app, "draw") is None


def _read(found, run, kg):
    # This function's lines are the script of an app, which knows no other line of this file.
    import streamlit as st

    from dans_app.triplet import asked as triplet_asked

    read = triplet_asked.checked(run, kg)
    found.append((read.triplet, read.draw))
    st.warning(read.place.message)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"tail": "<img src=x onerror=alert(1)>"}, "has no tail"),
        ({"negative": "G_R.99"}, "There is no negative “G_R.99” among those drawn here"),
        ({"negative": "[a](javascript:b)" * 900}, "There is no negative"),
    ],
)
def test_the_screen_says_what_was_wrong_with_its_address_until_something_is_chosen(query, said):
    app = screen(run="with-gan", **query)
    assert len(app.warning) == 1
    text = app.warning[0].value
    assert said in re.sub(r"\\(.)", r"\1", text) and len(text) < 500
    assert not re.search(r"(?<!\\)[<\[]", text)
    assert "a fact of **" in words(app) or "no known fact" in words(app)
    assert asked(app, "negative") is None and asked(app, "draw") is None
    press(app, "Draw again")
    assert not app.warning and asked(app, "draw") == "2"


# --- the screen


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def alone_address(**query: str) -> dict[str, str]:
    return {"run": "with-gan", "with": "none", **BRAZIL, **query}


def test_the_screen_shows_all_sources_and_puts_the_triplet_in_the_url():
    app = screen(run="with-gan", **BRAZIL)
    text = words(app)
    assert "(brazil, embassy, china) is" in text and "(brazil, embassy, ?) has" in text
    for card in ("**G_E** · DANS", "**G_R** · DANS", "**Random** · DANS", "**Random** · Uniform"):
        assert card in text.replace("\\_", "_")
    table = app.dataframe[0].value
    ours = ["Positive"] + ["G_E"] * 5 + ["G_R"] * 5 + ["Random"] * 5
    assert table["source"].tolist() == [*ours, "Positive", *["Random"] * 5]
    assert table["run"].tolist() == ["DANS"] * 16 + ["Uniform"] * 6
    assert table["nearest entity"][0] == "china" and table["against positive"][0] == 0
    names = ("run", "head", "relation", "tail", "side", "with", "draw", "negative")
    assert [asked(app, name) for name in names] == ["with-gan", *BRAZIL.values(), None, None, None, None]
    element = app.get("plotly_chart")[0].proto
    assert "Random of Uniform from" in element.alt and len(json.loads(element.spec)["data"]) >= 5
    random = table[table["source"] == "Random"]
    assert random["nearest entity"].tolist()[:5] == random["nearest entity"].tolist()[5:]


def test_known_answers_stand_first_with_the_split_that_holds_them(nations):
    app = screen(run="with-gan", **BRAZIL)
    options = app.selectbox(key="triplet_tail").options
    head, relation = nations.entity_id("brazil"), nations.relation_id("embassy")
    answers = nations.answers(head, relation)
    known = {int(i) for ids in answers.values() for i in ids}
    expected = {f"✓ {nations.entities[i]} · {nations.split_of(head, relation, i)}" for i in known}
    assert set(options[: len(known)]) == expected
    assert not any(option.startswith("✓ ") for option in options[len(known) :])
    assert len(options) == nations.num_entities
    counts = ", ".join(f"{len(ids)} {split}" for split, ids in answers.items())
    assert f"has **{len(known)}** known tails ({counts})" in words(app)


def test_choices_change_the_url_and_the_table(nations):
    app = screen(**alone_address())
    assert asked(app, "with") == "none" and "Uniform" not in words(app)
    app.selectbox(key="triplet_head").set_value(nations.entity_id("cuba")).run()
    assert asked(app, "head") == "cuba" and asked(app, "tail") == "china"
    scores = app.dataframe[0].value["score"].tolist()
    press(app, "Draw again")
    again = app.dataframe[0].value["score"].tolist()
    assert again[0] == scores[0] and again != scores and asked(app, "draw") == "2"
    assert screen(**alone_address(head="cuba", draw="2")).dataframe[0].value["score"].tolist() == again
    app.segmented_control(key="triplet_draws").set_value("20").run()
    assert len(app.dataframe[0].value) == 61 and asked(app, "draws") == "20"
    app.segmented_control(key="triplet_side").set_value("head").run()
    assert asked(app, "side") == "head" and app.dataframe[0].value["nearest entity"][0] == "cuba"


def test_both_sides_are_those_of_either_alone():
    both = screen(**alone_address(side="both"))
    assert len(both.get("plotly_chart")) == 2
    assert [heading.value for heading in both.header] == ["Other tails", "Other heads"]
    table = both.dataframe[0].value
    for side in ("tail", "head"):
        one = screen(**alone_address(side=side)).dataframe[0].value
        part = table[table["side"] == side].reset_index(drop=True)
        assert part["score"].tolist() == one["score"].tolist()
    assert "(brazil, embassy, ?) has" in words(both) and "(?, embassy, china) has" in words(both)


def test_a_random_test_triplet_is_one(nations):
    app = screen(run="with-gan")
    press(app, "Random test triplet")
    assert "is a fact of **test**" in words(app)
    assert asked(app, "head") in nations.entities


def test_both_weights_can_be_looked_at():
    app = screen(run="with-gan", weights="last")
    assert "Weights of epoch 6" in words(app)


def test_a_run_without_a_gan_has_random_negatives_only():
    app = screen(run="without-gan", **{"with": "none"})
    assert "random negatives only" in words(app)
    table = app.dataframe[0].value
    assert set(table["source"]) == {"Positive", "Random"} and table["D_adv"].isna().all()
    assert not {"D_adv", "D_aux", "side", "run"} & set(app.dataframe[0].proto.column_order)
    sides = ["Negative tails", "Negative heads", "Both"]
    assert app.segmented_control(key="triplet_side").options == sides
    sides = ["Fake tails", "Fake heads", "Both"]
    assert screen(run="with-gan").segmented_control(key="triplet_side").options == sides


@pytest.mark.parametrize("sampler", ["nscaching", "self-adversarial", "kbgan", "one-vs-all"])
def test_the_own_negatives_of_a_sampler_are_shown_by_its_name(tmp_path, monkeypatch, sampler):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    run = small_run.trained(tmp_path / "runs", "own", sampler)
    small_run.trained(tmp_path / "runs", "twin", "uniform", loss=run.config.loss)
    app, title = screen(run="own", **BRAZIL), theme.SAMPLERS[sampler]
    own = [] if sampler == "one-vs-all" else [title] * 5
    table = app.dataframe[0].value
    assert table["source"].tolist() == ["Positive", *own, *["Random"] * 5, "Positive", *["Random"] * 5]
    weighed = sampler == "self-adversarial"
    assert table["weight"].notna().sum() == 5 * weighed
    assert ("weight" in app.dataframe[0].proto.column_order) == weighed
    text, alt = re.sub(r"\\(.)", r"\1", words(app)), app.get("plotly_chart")[0].proto.alt
    assert ((f":yellow[★] **{title}**" in text) and (f"{title} from" in alt)) == bool(own)
    assert (":small[weight" in text) == weighed
    assert "random negatives only" not in text
    assert ("every other entity is a negative" in text) == (not own)
    if own:
        app.selectbox(key="triplet_head").set_value(0).run()
        app = screen(run="own", negative="sampler.2", **BRAZIL)
        assert app.selectbox(key="triplet_negative").value == "sampler.2" and not app.warning
        assert len(app.dataframe) == 2


def test_what_the_fakes_of_a_run_propose_is_shown_with_its_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    small_run.trained(tmp_path / "runs", "own", reading="entities")
    app = screen(run="own", **BRAZIL)
    table = app.dataframe[0].value
    assert table["source"].tolist() == [
        name
        for name in ("Positive", "G_E", "G_R", "Proposed", "Random")
        for _ in range(1 if name == "Positive" else 5)
    ]
    proposed = table[table["source"] == "Proposed"]
    assert proposed["weight"].mean() == pytest.approx(1) and (proposed["cosine"] == 1).all()
    assert table["weight"].notna().sum() == 5
    text = re.sub(r"\\(.)", r"\1", words(app))
    assert PROPOSES in text and ":yellow[★] **Proposed**" in text and ":small[weight" in text
    app = screen(run="own", negative="sampler.2", **BRAZIL)
    assert app.selectbox(key="triplet_negative").value == "sampler.2" and not app.warning
    small_run.trained(tmp_path / "runs", "itself", reading="vectors")
    assert PROPOSES not in re.sub(r"\\(.)", r"\1", words(screen(run="itself", **BRAZIL)))


def test_an_ablation_shows_the_pathway_that_it_has(tmp_path, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    small_run.trained(tmp_path / "runs", "own", pathways="G_R", film="none")
    app = screen(run="own")
    assert set(app.dataframe[0].value["source"]) == {"Positive", "G_R", "Random"}
    order = app.dataframe[0].proto.column_order
    assert "D_adv" in order and "D_aux" not in order
    assert app.segmented_control(key="triplet_draws").help == "Negatives drawn from G_R and at random."


def test_other_runs_come_and_go(trained):
    app = screen(run="with-gan", **BRAZIL)
    assert app.multiselect(key="triplet_with").value == ["without-gan"]
    app.multiselect(key="triplet_with").set_value([]).run()
    assert asked(app, "with") == "none" and len(app.dataframe[0].value) == 16
    app.multiselect(key="triplet_with").set_value(["without-gan"]).run()
    assert asked(app, "with") is None and len(app.dataframe[0].value) == 22


def test_a_damaged_run_beside_is_one_sentence_and_the_rest_is_shown(tmp_path, trained, monkeypatch):
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    (tmp_path / "runs" / "without-gan" / "best.pt").write_bytes(b"broken")
    app = screen(run="with-gan")
    assert len(app.warning) == 1 and "cannot be shown beside this one" in app.warning[0].value
    assert len(app.dataframe[0].value) == 16 and not app.error


# --- the two closed parts


def test_closed_parts_compute_nothing():
    app = screen(run="with-gan", **BRAZIL)
    assert [opened.label for opened in app.expander] == [
        "The arithmetic of one score, term by term",
        "How the negatives of this query moved, epoch by epoch",
    ]
    assert len(app.dataframe) == 1 and not app.get("latex")


@pytest.mark.parametrize(
    "negative", ["G_R.3", "head.random.2", "without-gan~random.5", "without-gan~head.random.1"]
)
def test_an_address_with_a_negative_opens_its_arithmetic(negative):
    app = screen(run="with-gan", negative=negative, side="both", **BRAZIL)
    assert asked(app, "negative") == negative and app.selectbox(key="triplet_negative").value == negative
    rows, terms = app.dataframe[0].value, app.dataframe[1].value
    run = "Uniform" if "without-gan" in negative else "DANS"
    source, draw = negative.split("~")[-1].split(".")[-2:]
    chosen = rows[
        (rows["run"] == run)
        & (rows["source"].str.lower() == source.lower())
        & (rows["side"] == ("head" if "head" in negative else "tail"))
        & (rows["draw"] == int(draw))
    ]
    assert len(chosen) == 1
    assert terms["term of the negative"].iloc[-1] == pytest.approx(chosen["score"].iloc[0], abs=1e-4)
    assert "the encoder’s outputs" in words(app)
    assert ("embassy⁻¹" in words(app)) == ("head" in negative)


def test_another_negative_can_be_chosen_and_is_forgotten_with_its_draws():
    app = screen(run="with-gan", negative="G_R.3", **BRAZIL)
    app.selectbox(key="triplet_negative").set_value("G_E.1").run()
    assert asked(app, "negative") == "G_E.1"
    app.selectbox(key="triplet_head").set_value(0).run()
    assert asked(app, "negative") == "G_E.1", "another triplet has a first draw of G_E too"
    app.segmented_control(key="triplet_draws").set_value("20").run()
    assert asked(app, "negative") is None and not app.warning
    rows = app.dataframe[0].value
    own = rows[(rows["run"] == "DANS") & (rows["source"] != "Positive")]
    assert app.dataframe[1].value["term of the negative"].iloc[-1] == pytest.approx(
        own["score"].max(), abs=1e-4
    )


def opened(app: AppTest, part: str) -> AppTest:
    app.session_state[part] = True
    return app.run()


def test_the_path_of_a_kept_query_is_shown():
    app = opened(screen(run="with-gan", **BRAZIL), "triplet_paths")
    assert "Every snapshot keeps one true tail of this query" in words(app)
    table = app.dataframe[1].value
    assert table["epoch"].tolist() == [6, 6, 3, 3, 0, 0] and set(table["source"]) == {"G_E", "G_R"}
    alt = app.get("plotly_chart")[1].proto.alt
    assert "G_E from" in alt and "at epoch 0" in alt and "at epoch 6" in alt
    app = opened(screen(run="without-gan", **{"with": "none"}, **BRAZIL), "triplet_paths")
    assert set(app.dataframe[1].value["source"]) == {"Positive", "Random"}


def test_a_query_that_is_not_kept_offers_one_that_is(tmp_path, trained, monkeypatch, nations):
    shutil.copytree(trained / "with-gan", tmp_path / "runs" / "with-gan")
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    kept = None
    for file in (tmp_path / "runs" / "with-gan" / "snapshots").glob("*.npz"):
        with np.load(file) as found:
            arrays = {name: found[name] for name in found.files}
        own = arrays["queries"][:, 1] == nations.num_relations + nations.relation_id("embassy")
        size = len(own)
        arrays = {name: array[own] if array.shape[:1] == (size,) else array for name, array in arrays.items()}
        kept = arrays["queries"]
        np.savez(file, **arrays)
    assert 0 < len(kept) < 20
    app = opened(screen(run="with-gan", **BRAZIL), "triplet_paths")
    assert "keep some queries only" in words(app)
    next(button for button in app.button if button.label.startswith("Show (")).click().run()
    assert asked(app, "side") == "head" and asked(app, "relation") == "embassy"
    assert "Every snapshot keeps one true head of this query" in words(app)


def test_a_damaged_snapshot_is_one_sentence_and_the_rest_is_shown(tmp_path, trained, monkeypatch):
    shutil.copytree(trained / "with-gan", tmp_path / "runs" / "with-gan")
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    (tmp_path / "runs" / "with-gan" / "snapshots" / "000003.npz").write_bytes(b"broken")
    app = opened(screen(run="with-gan", **BRAZIL), "triplet_paths")
    assert len(app.error) == 1 and "These snapshots cannot be read" in app.error[0].value
    assert len(app.dataframe[0].value) == 16


def test_a_run_without_weights_and_no_run_at_all_are_friendly(tmp_path, monkeypatch):
    assert "kept no weights" in words(screen(run="bare"))
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "none"))
    assert "There is no run yet" in words(screen())


def test_a_damaged_checkpoint_is_one_sentence(tmp_path, trained, monkeypatch):
    shutil.copytree(trained / "with-gan", tmp_path / "runs" / "with-gan")
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    (tmp_path / "runs" / "with-gan" / "best.pt").write_bytes(b"broken")
    app = screen(run="with-gan")
    assert len(app.error) == 1 and "cannot be inspected" in app.error[0].value


def test_runs_on_the_same_data_share_it_in_the_process(trained, nations):
    runs = {run.id: run for run in list_runs()}
    for name in ("with-gan", "without-gan"):
        inspecting._load(str(runs[name].path), "best", (1, 2), nations.hash)
    one, other = (
        inspecting._load(str(runs[name].path), "best", (1, 2), nations.hash)
        for name in ("with-gan", "without-gan")
    )
    assert one.trained.kg is other.trained.kg and one.trained.networks is not other.trained.networks


def test_the_number_of_a_draw_has_bounds():
    assert triplet_asked.draw_number("1000000") == (1_000_000, None)
    for text in ("1000001", "-1", "1.5", "", "²"):
        assert triplet_asked.draw_number(text)[0] == 1 and triplet_asked.draw_number(text)[1]
