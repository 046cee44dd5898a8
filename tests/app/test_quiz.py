"""The screen Real or generated without a browser: what is drawn and shown, who else plays, and how it is scored."""

from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import binomtest
from streamlit.testing.v1 import AppTest

from dans_app.quiz import games, judges, pools, seen
from dans_app.quiz import words as words_of
from dans_app.quiz.games import GAMES, ROUNDS
from dans_app.server import inspecting, loading
from dans_core import KnowledgeGraph
from dans_lab.runs.run import Run
from tests import small_run

screen = partial(small_run.screen, "quiz.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with a run, its twin without a GAN, one with a single pathway, and one of random numbers, made once."""
    folder = tmp_path_factory.mktemp("quiz")
    small_run.trained(folder, "with-gan")
    small_run.trained(folder, "without-gan", sampler="uniform")
    small_run.trained(folder, "one-way", pathways="G_R")
    small_run.drawn(folder, KnowledgeGraph.load("umls"), "umls", "chance")
    return folder


@pytest.fixture(autouse=True)
def alone(runs, tmp_path, monkeypatch):
    small_run.only(runs, tmp_path, monkeypatch)


def pool_of(
    runs: Path, run_id: str, game: games.Name, epoch: int | None
) -> tuple[pools.Pool, KnowledgeGraph]:
    run = Run(runs / run_id)
    kg = loading.graph(run)
    return pools.pool(run, kg, game, epoch), kg


def words(app: AppTest) -> str:
    return "\n".join(
        item.value for kind in ("markdown", "caption", "info", "warning") for item in app.get(kind)
    )


def press(app: AppTest, key: str) -> None:
    app.button(key).click().run()
    assert not app.exception


def value(app: AppTest, name: str) -> str | None:
    found = app.query_params.get(name)
    return found[0] if isinstance(found, list) else found


# --- what can be asked


def test_what_is_measured_of_a_candidate_is_what_the_snapshot_says(runs):
    found, _ = pool_of(runs, "chance", "real", 5)
    kept = Run(runs / "chance").load_snapshot(5)
    entities = kept["entities"].astype(np.float64)
    unit = np.median([np.sqrt((vector**2).sum()) for vector in entities])
    queries = kept["queries"]
    for place in (0, 7, len(queries) + 3, 2 * len(queries) + 11):
        part, at = divmod(place, len(queries))
        head = int(queries[at, 0])
        own = kept["answers"][at] if part == 0 else -1
        vector = (entities[own], kept["fakes_e"][head], kept["fakes_r"][at])[part].astype(np.float64)
        score = (kept["score_true"], kept["score_e"], kept["score_r"])[part][at]
        opinion = (kept["d_entities"][own], kept["d_fakes_e"][head], kept["d_fakes_r"][at])[part]
        length = np.sqrt((vector**2).sum())
        cosines = [
            (entity @ vector) / (np.sqrt((entity**2).sum()) * length) if i != own else -2
            for i, entity in enumerate(entities)
        ]
        assert found.kinds[place] == ("real", "G_E", "G_R")[part]
        assert found.entity(place) == (None if part else own)
        assert found.measures["score"][place] == pytest.approx(float(score))
        assert found.measures["d_adv"][place] == pytest.approx(float(opinion))
        assert found.measures["length"][place] == pytest.approx(length / unit, rel=1e-4)
        assert found.measures["cosine"][place] == pytest.approx(max(cosines), abs=1e-5)
        near = seen.neighbours(found, place)
        assert near[0].cosine == pytest.approx(max(cosines), abs=1e-5)
        assert near[0].entity == int(np.argmax(cosines))
        away = np.sqrt(((entities[near[0].entity] - vector) ** 2).sum())
        assert near[0].distance == pytest.approx(away / unit, rel=1e-4)


@pytest.mark.parametrize("name", list(GAMES))
def test_ten_are_drawn_by_a_seed_half_of_each_kind_and_none_twice(runs, name):
    found, _ = pool_of(runs, "with-gan", name, None if name == "triplet" else 6)
    draws = [pools.draw(found, GAMES[name], seed) for seed in range(20)]
    assert draws[3] == pools.draw(found, GAMES[name], 3)
    assert len({tuple(each) for each in draws}) == len(draws)
    for ten in draws:
        assert len(ten) == ROUNDS and found.sought[ten].sum() == ROUNDS // 2
        assert len(set(found.rows[ten])) == len(set(found.heads[ten])) == ROUNDS
        assert found.drawable[ten].all()
    first = [bool(found.sought[ten[0]]) for ten in draws]
    assert 3 < sum(first) < 17, "the order of the kinds is chance"


def test_both_pathways_stand_for_the_generated(runs):
    found, _ = pool_of(runs, "with-gan", "real", 6)
    for seed in range(5):
        kinds = found.kinds[pools.draw(found, GAMES["real"], seed)].tolist()
        assert {kinds.count("G_E"), kinds.count("G_R")} == {2, 3}


@pytest.mark.parametrize("name", ["real", "triplet"])
def test_nothing_that_is_shown_tells_the_kind_by_its_form(runs, name):
    found, kg = pool_of(runs, "with-gan", name, None if name == "triplet" else 6)
    drawn = seen.places(found)
    for place in pools.draw(found, GAMES[name], 1):
        entity = found.entity(place)
        near = seen.neighbours(found, place)
        assert len(near) == seen.NEIGHBOURS and entity not in [each.entity for each in near]
        rows = np.concatenate([rows for _, rows in seen.layers(found, place, kg)])
        assert found.rows[place] not in rows
        star = seen.figure(found, place, kg, drawn).data[-1]
        assert (star.x[0], star.y[0]) == pytest.approx(drawn.points[found.rows[place]].tolist())
        assert star.name == "This one" and star.marker.symbol == "star"


def test_a_swapped_tail_is_a_fact_of_no_split_and_of_a_kind_that_the_relation_takes(runs):
    found, kg = pool_of(runs, "with-gan", "triplet", None)
    every = {tuple(row) for split in ("train", "valid", "test") for row in kg.array(split).tolist()}
    tails = {(relation, tail) for _, relation, tail in every}
    for place, kind in enumerate(found.kinds):
        triplet = int(found.heads[place]), int(found.relations[place]), int(found.rows[place])
        assert (triplet in every) == (kind == "fact")
        if kind == "swapped" and any(
            (*triplet[:2], tail) not in every for relation, tail in tails if relation == triplet[1]
        ):
            assert triplet[1:] in tails


def test_triplets_are_scored_as_on_the_screen_triplet(runs):
    found, kg = pool_of(runs, "with-gan", "triplet", None)
    run = Run(runs / "with-gan")
    for place in pools.draw(found, GAMES["triplet"], 2)[:4]:
        query = int(found.heads[place]), int(found.relations[place]), int(found.rows[place])
        positive = inspecting.inspect(run, kg, "best", query, 1, 0)[0].positive
        assert found.measures["score"][place] == pytest.approx(positive.score, abs=1e-5)
        assert found.measures["d_adv"][place] == pytest.approx(positive.d_adv, abs=1e-5)
        assert found.measures["d_aux"][place] == pytest.approx(positive.d_aux, abs=1e-5)
        # There the median of an even number of entities is the lower one of the middle two.
        assert found.measures["length"][place] == pytest.approx(positive.scale, rel=0.02)
        common = sum(row[1:] == list(query[1:]) for row in kg.array("train").tolist())
        assert found.measures["common"][place] == common


# --- who else plays


@given(some.lists(some.tuples(some.integers(-4, 4), some.booleans()), min_size=2, max_size=30))
def test_the_fitted_threshold_is_as_good_as_any(pairs):
    values, sought = np.array([v for v, _ in pairs], float), np.array([s for _, s in pairs])

    def balanced(threshold: float, above: bool) -> float:
        says = values >= threshold if above else values < threshold
        share = [
            np.mean(says[sought == side] == side) if (sought == side).any() else 0.0 for side in (True, False)
        ]
        return float(sum(share))

    if sought.all() or not sought.any():
        return
    best = max(balanced(t, a) for t, a in product([*np.unique(values), 99.0], (True, False)))
    assert balanced(*judges.best_threshold(values, sought)) == pytest.approx(best)


@given(some.lists(some.tuples(some.integers(0, 5), some.booleans()), min_size=2, max_size=20))
def test_separation_counts_pairs(pairs):
    values, sought = np.array([v for v, _ in pairs], float), np.array([s for _, s in pairs])
    both = [(a > b) + (a == b) / 2 for a in values[sought] for b in values[~sought]]
    expected = np.mean(both) if both else np.nan
    assert judges.separation(values, sought) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("hits", range(11))
def test_the_interval_is_wilsons(hits):
    known = binomtest(hits, 10).proportion_ci(method="wilson")
    assert judges.interval(hits, 10) == pytest.approx((known.low, known.high), abs=1e-6)


@pytest.mark.parametrize(("mine", "theirs"), [(0, 0), (1, 0), (2, 5), (5, 2), (4, 4), (0, 6)])
def test_luck_is_the_exact_test_of_mcnemar(mine, theirs):
    known = binomtest(mine, mine + theirs).pvalue if mine + theirs else 1.0
    assert judges.luck(mine, theirs) == pytest.approx(known)


def test_judges_are_read_by_their_middle_where_trained_and_fitted_to_others_elsewhere(runs):
    found, _ = pool_of(runs, "with-gan", "real", 6)
    ten = pools.draw(found, GAMES["real"], 0)
    by_name = {judge.name: judge for judge in judges.judges(found, GAMES["real"], ten)}
    assert set(by_name) == {"D_adv", "D_aux", "Decoder"}
    assert by_name["D_adv"].says(0.4) is True and by_name["D_adv"].says(0.6) is False
    rest = np.setdiff1d(np.arange(len(found.kinds)), ten)
    for name, measure in (("Decoder", "score"), ("D_aux", "d_aux")):
        fitted = judges.best_threshold(found.measures[measure][rest], found.sought[rest])
        assert (by_name[name].threshold, by_name[name].above) == fitted and by_name[name].fitted
    kept = Run(runs / "with-gan").load_snapshot(6)["aux_entities"]
    real = found.kinds == "real"
    assert found.measures["d_aux"][real].tolist() == kept[found.rows[real]].tolist()

    found, _ = pool_of(runs, "with-gan", "pathway", 6)
    by_name = {judge.name: judge for judge in judges.judges(found, GAMES["pathway"], [0, 1])}
    assert set(by_name) == {"D_adv", "D_aux", "Decoder"}
    assert by_name["D_aux"].says(0.6) is True and not by_name["D_aux"].fitted and by_name["D_adv"].fitted

    found, _ = pool_of(runs, "without-gan", "triplet", None)
    assert [judge.name for judge in judges.judges(found, GAMES["triplet"], [0])] == ["Decoder"]


# --- the screen


def test_a_game_is_played_learned_from_and_scored(runs):
    app = screen(run="with-gan", seed="4")
    found, kg = pool_of(runs, "with-gan", "real", 6)
    ten = pools.draw(found, GAMES["real"], 4)
    right = 0
    for number, place in enumerate(ten, 1):
        assert f"Round {number} of 10" in words(app)
        assert "It is the entity" not in words(app) and "D_adv**:" not in words(app)
        press(app, "quiz_answer_r")
        real = not found.sought[place]
        right += bool(real)
        assert ("Right: it is real" if real else "Wrong: it is generated") in words(app)
        opinion = found.measures["d_adv"][place]
        mark = ":green[✓]" if (opinion >= 0.5) == real else ":red[✗]"
        assert (
            f"{mark} **D_adv**: {'Real' if opinion >= 0.5 else 'Generated'} (real: {100 * opinion:.0f}"
            in words(app)
        )
        press(app, "quiz_next")
    assert value(app, "answers") == "r" * ROUNDS and value(app, "round") is None
    assert "5 of 10 right" in words(app) and right == 5
    assert "Ten rounds are few" in words(app) and "24 % to 76 %" in words(app)
    scores = app.dataframe[0].value.set_index("Player")
    assert scores.loc["You", "Sensitivity"] == "0 of 5" and scores.loc["You", "Specificity"] == "5 of 5"
    d_adv = [bool(found.measures["d_adv"][place] < 0.5) for place in ten]
    caught = sum(says and found.sought[place] for says, place in zip(d_adv, ten, strict=True))
    assert scores.loc["D_adv", "Sensitivity"] == f"{caught} of 5"
    rows = app.dataframe[1].value
    assert rows["It was"].tolist() == [
        f"fake of {found.kinds[place]}" if (entity := found.entity(place)) is None else kg.entities[entity]
        for place in ten
    ]


def test_answers_outlive_a_reload_another_game_and_ten_others(runs):
    app = screen(run="with-gan")
    press(app, "quiz_answer_g")
    press(app, "quiz_next")
    press(app, "quiz_answer_r")
    assert value(app, "answers") == "gr" and value(app, "round") == "2"
    again = screen(run="with-gan", answers="gr", round="2")
    assert "Round 2 of 10" in words(again) and "of 2 right" in words(again)

    app.get("button_group")[0].set_value("pathway").run()
    assert value(app, "answers") is None and "Did G_E make it" in words(app)
    app.get("button_group")[0].set_value("real").run()
    assert value(app, "answers") == "gr"
    next(button for button in app.button if button.label == "Ten others").click().run()
    assert value(app, "answers") is None and value(app, "seed") is not None


def test_a_run_without_a_discriminator_has_the_game_of_triplets_alone_and_says_why(runs):
    app = screen(run="without-gan", game="real")
    assert "Uniform trains without a generator and a discriminator" in words(app)
    assert "Is this triplet a fact" in words(app) and value(app, "game") is None
    press(app, "quiz_answer_t")
    assert "**Decoder**:" in words(app) and "**D_adv**:" not in words(app)


def test_one_pathway_alone_leaves_nothing_to_tell_apart(runs):
    app = screen(run="one-way", game="pathway")
    assert "one pathway alone, G_R" in words(app)
    assert [option.content for option in app.get("button_group")[0].proto.options] == [
        "Real or generated?",
        "True or false?",
    ]


def test_without_weights_no_triplets_are_asked(runs):
    app = screen(run="chance", game="triplet")
    assert "has kept no weights" in words(app) and "a fake that the generator made" in words(app)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"game": "chess"}, "can be real or pathway or triplet"),
        ({"seed": "-1"}, "a whole number from 0"),
        ({"seed": "٣"}, "a whole number from 0"),
        ({"answers": "rgx"}, "at most 10 letters, r or g each"),
        ({"answers": "r" * 11}, "at most 10 letters"),
        ({"round": "4"}, "have not come to"),
        ({"answers": "rr", "round": "9"}, "have not come to"),
        ({"epoch": "5"}, "no snapshot of epoch"),
    ],
)
def test_an_address_may_say_anything(runs, query, said):
    app = screen(run="with-gan", **query)
    assert said in words(app) and "Round " in words(app)


def test_snapshots_of_an_earlier_version_are_played_without_d_aux(runs):
    run = Run(runs / "chance")
    for _, file in run.snapshots():
        with np.load(file) as arrays:
            kept = {name: arrays[name] for name in arrays.files if name != "aux_entities"}
        np.savez(file, **kept)
    found, _ = pool_of(runs, "chance", "real", 5)
    ten = pools.draw(found, GAMES["real"], 0)
    players = judges.judges(found, GAMES["real"], ten)
    assert [judge.name for judge in players] == ["D_adv", "Decoder"]
    app = screen(run="chance", answers="r" * ROUNDS)
    assert "did not ask it about entities" in words(app)
    assert "D_aux" not in app.dataframe[0].value["Player"].tolist()
    app = screen(run="with-gan", answers="r" * ROUNDS)
    assert "D_aux learned from fakes alone" in words(app)
    assert [name.rstrip(" *\\") for name in app.dataframe[0].value["Player"]] == [
        "You",
        "D_adv",
        "D_aux",
        "Decoder",
    ]


def test_a_graph_too_small_for_ten_rounds_says_so(runs, tmp_path, monkeypatch):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text("a\tr\tb\nb\tr\tc\n" if split == "train" else "a\tr\tc\n")
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    small_run.drawn(tmp_path / "runs", KnowledgeGraph.load(folder), str(folder), "tiny", epochs=(0,))
    assert "not enough queries for 10 rounds" in screen(run="tiny").error[0].value


def test_a_judge_may_order_well_what_it_judges_badly(runs):
    found, _ = pool_of(runs, "with-gan", "real", 6)
    ten = pools.draw(found, GAMES["real"], 0)
    # All are taken for real, the generated ones a little less.
    found.measures["d_adv"][:] = np.where(found.sought, 0.7, 0.8)
    players = judges.judges(found, GAMES["real"], ten)
    rounds = [words_of.Round(place, bool(found.sought[place]), None, {}) for place in ten]
    assert "Read at 75 % instead of 50 %, D_adv would be right in 10 of 10" in words_of.parted_elsewhere(
        rounds, found, GAMES["real"], players
    )
    found.measures["d_adv"][:] = np.where(found.sought, 0.3, 0.8)
    assert (
        words_of.parted_elsewhere(rounds, found, GAMES["real"], judges.judges(found, GAMES["real"], ten))
        == ""
    )
