"""What the map draws: views of snapshots, and their packing for the browser."""

import base64
import json

import numpy as np
import pytest

from dans_core import KnowledgeGraph
from dans_lab.map import plate as map_plate
from dans_lab.map import relation_view
from dans_lab.map.projection import Projection
from dans_lab.runs.frames import Frame
from tests import small_run

EPOCHS = (0, 5, 9)


def kept(arrays: dict, which: np.ndarray) -> dict:
    """A snapshot that holds these queries alone, as that of a larger graph does."""
    by_query = ("queries", "answers", "random", "score_", "fakes_r", "d_fakes_r", "aux_fakes_r")
    return {name: array[which] if name.startswith(by_query) else array for name, array in arrays.items()}


def frame_of(kg: KnowledgeGraph, epoch: int, gan: bool = True) -> Frame:
    return Frame.of(small_run.arrays(kg, epoch, gan=gan), kg.num_entities, kg.num_relations)


@pytest.fixture
def frames(nations) -> list[Frame]:
    return [frame_of(nations, epoch) for epoch in EPOCHS]


def placed(frames: list[Frame], rows: np.ndarray | None = None, method: str = "umap") -> Projection:
    rows = np.arange(frames[-1].size) if rows is None else rows
    random = np.random.default_rng(1)
    points = random.normal(size=(len(frames), len(rows), 2)).astype(np.float32) * np.array([7, 2], np.float32)
    unknown = np.full(len(frames), np.nan)
    return Projection(method, tuple(frame.epoch for frame in frames), rows, points, unknown, unknown)


def unpack(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind)


# --- views


@pytest.mark.parametrize("reciprocal", [False, True])
def test_a_view_holds_the_queries_of_its_relation_at_every_snapshot(nations, frames, reciprocal):
    """Against a plain walk over the facts and the arrays of each file."""
    relation = 3 + reciprocal * nations.num_relations
    view = relation_view.view_of(frames, nations, relation)
    facts = [(h, t) for h, r, t in nations.queries("train").tolist() if r == relation]
    assert view.answers.tolist() == sorted({t for _, t in facts})
    assert view.counts.tolist() == [sum(t == answer for _, t in facts) for answer in view.answers]
    others = {
        t for split in ("valid", "test") for _, r, t in nations.queries(split).tolist() if r == relation
    }
    assert view.held_out.tolist() == sorted(others - {t for _, t in facts})
    assert view.heads.tolist() == sorted({h for h, _ in facts}) and view.asked == len(view.heads)
    assert view.side == ("head" if reciprocal else "tail")
    for at, epoch in enumerate(EPOCHS):
        arrays = small_run.arrays(nations, epoch)
        for i, head in enumerate(view.heads.tolist()):
            query = arrays["queries"].tolist().index([head, relation])
            assert view.true[i] == small_run.arrays(nations, EPOCHS[-1])["answers"][query]
            assert view.score_true[at, i] == arrays["score_true"][query]
            by_source = {
                "G_E": ("score_e", nations.num_entities + head, "d_fakes_e", "aux_fakes_e", head),
                "G_R": ("score_r", 2 * nations.num_entities + query, "d_fakes_r", "aux_fakes_r", query),
            }
            for source, (score, row, d, aux, place) in by_source.items():
                part = view.negatives[source]
                assert part.score[at, i] == arrays[score][query]
                assert (part.d_adv[at, i], part.aux[at, i]) == (arrays[d][place], arrays[aux][place])
                assert part.rows[i] == row
            random = view.negatives["random"]
            last = small_run.arrays(nations, EPOCHS[-1])["random"][query]
            assert random.rows[i] == random.nearest[at, i] == last
            assert random.score[at, i] == arrays["score_random"][query]


def test_nearest_cosine_length_and_known_facts_are_those_of_the_plain_way_at_every_snapshot(nations, frames):
    view = relation_view.view_of(frames, nations, 3)
    for at, frame in enumerate(frames):
        median = np.median([np.linalg.norm(entity) for entity in frame.entities])
        for source in ("G_E", "G_R", "random"):
            part = view.negatives[source]
            stacked = np.concatenate(frame.groups)
            for i, head in enumerate(view.heads.tolist()):
                vector = stacked[part.rows[i]]
                cosines = [e @ vector / np.linalg.norm(e) / np.linalg.norm(vector) for e in frame.entities]
                assert part.nearest[at, i] == int(np.argmax(cosines))
                assert part.cosine[at, i] == pytest.approx(max(cosines), abs=1e-5)
                assert part.scale[at, i] == pytest.approx(np.linalg.norm(vector) / median, rel=1e-4)
                split = nations.split_of(head, 3, int(part.nearest[at, i]))
                assert part.known[at, i] == (-1 if split is None else ("train", "valid", "test").index(split))


def test_of_a_run_that_kept_some_queries_only_those_are_shown(nations):
    arrays = [small_run.arrays(nations, epoch) for epoch in EPOCHS]
    of_relation = np.flatnonzero(arrays[0]["queries"][:, 1] == 3)
    chosen = of_relation[[1, 4]]
    others = np.flatnonzero(arrays[0]["queries"][:, 1] == 5)
    parts = [kept(each, np.sort(np.concatenate([chosen, others]))) for each in arrays]
    frames = [Frame.of(each, nations.num_entities, nations.num_relations) for each in parts]
    view = relation_view.view_of(frames, nations, 3)
    assert view.heads.tolist() == arrays[0]["queries"][chosen, 0].tolist()
    assert (len(view.heads), view.asked) == (2, len(of_relation))
    for at in range(len(EPOCHS)):
        assert view.negatives["G_R"].score[at].tolist() == arrays[at]["score_r"][chosen].tolist()
    stacked = np.concatenate(frames[-1].groups)
    np.testing.assert_array_equal(
        stacked[view.negatives["G_R"].rows], arrays[-1]["fakes_r"][chosen].astype(np.float32)
    )
    none = relation_view.view_of(frames, nations, 7)
    assert len(none.heads) == 0 and none.negatives["G_E"].nearest.shape == (3, 0) and len(none.answers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("entities"), "entities"),
        (lambda a: a.update(entities=a["entities"][0]), "entities"),
        (lambda a: a.pop("queries"), "earlier version"),
        (lambda a: a.update(entities=a["entities"][1:]), "not the same data"),
        (lambda a: a.update(heads_e=a["heads_e"][1:]), "fakes_e do not match"),
        (lambda a: a.update(fakes_r=a["fakes_r"][:, :3]), "fakes_r do not match"),
        (lambda a: a.update(score_true=a["score_true"][1:]), "score_true do not match"),
        (lambda a: a.update(answers=a["answers"][1:]), "answers do not match"),
        (lambda a: a.update(queries=a["queries"][:, :1]), "queries do not match"),
        (lambda a: a.update(queries=a["queries"] + 10_000), "does not have"),
        (lambda a: a.update(answers=a["answers"] - 10_000), "does not have"),
        (lambda a: a.update(random=a["random"] + 10_000), "does not have"),
    ],
)
def test_a_snapshot_of_something_else_is_told_in_words(nations, change, message):
    arrays = small_run.arrays(nations, 5)
    change(arrays)
    with pytest.raises(ValueError, match=message):
        Frame.of(arrays, nations.num_entities, nations.num_relations)


# --- what travels to the browser


def test_a_plate_holds_what_the_arrays_hold(nations, frames):
    view = relation_view.view_of(frames, nations, 3)
    series = placed(frames)
    plate = json.loads(json.dumps(map_plate.plate("A run", "one", view, frames, nations, series)))
    assert (plate["title"], plate["run"], plate["method"], plate["single"]) == ("A run", "one", "UMAP", None)
    assert (plate["epochs"], plate["n"]) == ([0, 5, 9], frames[-1].size)
    assert plate["names"] == list(nations.entities) and plate["ids"] == list(range(nations.num_entities))

    left, right, bottom, top = series.frame()
    size = max(right - left, top - bottom)
    units = unpack(plate["xy"], "<u2").reshape(series.points.shape) / 65535 * 5 - 2.5
    places = units * size + np.array([(left + right) / 2, (bottom + top) / 2])
    assert np.abs(places - series.points).max() <= 0.51 * 5 / 65535 * size
    assert plate["extent"] == pytest.approx([(right - left) / size, (top - bottom) / size])
    assert max(plate["extent"]) == 1

    opinion = unpack(plate["d"], "<u1").reshape(3, -1)
    real = np.stack([np.concatenate([f.d_entities, f.d_fakes_e, f.d_fakes_r]) for f in frames])
    assert np.abs(opinion / 254 - real).max() <= 0.51 / 254

    shown = plate["view"]
    assert (shown["relation"], shown["other"]) == (nations.relations[3], "head")
    assert shown["answers"] == [[a, c] for a, c in zip(view.answers, view.counts, strict=True)]
    assert shown["held"] == view.held_out.tolist()
    assert shown["heads"] == [nations.entities[head] for head in shown["headIds"]]
    np.testing.assert_array_equal(unpack(shown["trueScore"], "<f4").reshape(3, -1), view.score_true)
    for packed in shown["sources"]:
        part = view.negatives[packed["source"]]
        assert packed["points"] == part.rows.tolist()
        words = [plate["words"][i] for i in unpack(packed["nearest"], "<i4")]
        assert words == [nations.entities[i] for i in part.nearest.reshape(-1)]
        np.testing.assert_array_equal(unpack(packed["known"], "i1").reshape(3, -1), part.known)
        numbers = {"cosine": part.cosine, "scale": part.scale, "score": part.score}
        for name, values in {**numbers, "d": part.d_adv, "aux": part.aux}.items():
            np.testing.assert_array_equal(unpack(packed[name], "<f4").reshape(3, -1), values)


def test_of_a_sample_only_the_points_with_a_place_are_named(nations, frames):
    view = relation_view.view_of(frames, nations, 3)
    rows = np.setdiff1d(np.arange(0, frames[-1].size, 2), view.answers[:2])
    plate = map_plate.plate("A run", "one", view, frames, nations, placed(frames, rows))
    assert [rows[point] for point, _ in plate["view"]["answers"]] == [a for a in view.answers if a in rows]
    for source in plate["view"]["sources"]:
        own = view.negatives[source["source"]].rows
        expected = [rows.tolist().index(row) if row in rows else -1 for row in own]
        assert source["points"] == expected and -1 in expected
    assert plate["ids"] == [row for row in rows if row < nations.num_entities]
    assert plate["names"] == [nations.entities[row] for row in plate["ids"]]
    assert len(unpack(plate["d"], "<u1")) == 3 * len(rows)


def test_without_a_gan_the_discriminator_has_no_opinion(nations):
    frames = [frame_of(nations, 5, gan=False)]
    view = relation_view.view_of(frames, nations, 3)
    plate = map_plate.plate("A run", "one", view, frames, nations, placed(frames))
    assert set(unpack(plate["d"], "<u1")) == {255} and plate["n"] == nations.num_entities
    assert [source["source"] for source in plate["view"]["sources"]] == ["random"]
    assert json.dumps(plate, allow_nan=False)


def test_places_far_outside_are_held_at_the_rim(nations, frames):
    series = placed(frames, method="pca")
    series.points[0, 0] = (9e4, -9e4)
    plate = map_plate.plate(
        "A run", "one", relation_view.view_of(frames, nations, 3), frames, nations, series
    )
    steps = unpack(plate["xy"], "<u2").reshape(series.points.shape)
    assert steps[0, 0].tolist() == [65535, 0]
    left, right, bottom, top = series.frame()
    inside = series.points[0, 1] / max(right - left, top - bottom)
    np.testing.assert_allclose(steps[0, 1] / 65535 * 5 - 2.5, inside, atol=0.3)


def test_an_epoch_alone_has_a_space_of_its_own(nations, frames):
    view = relation_view.view_of(frames, nations, 3)
    single = placed(frames[1:2], method="tsne")
    plate = map_plate.plate("A run", "one", view, frames, nations, placed(frames), single)
    assert (plate["single"]["epoch"], plate["single"]["method"]) == (5, "t-SNE")
    assert plate["single"]["xy"] == map_plate.plate("", "", view, frames[1:2], nations, single)["xy"]


def test_the_token_of_a_view_is_the_same_for_the_same_and_another_for_anything_else(nations, frames):
    def token(frames, relation=3, rows=None):
        view = relation_view.view_of(frames, nations, relation)
        return map_plate.plate("", "", view, frames, nations, placed(frames, rows))["view"]["token"]

    again = [frame_of(nations, epoch) for epoch in EPOCHS]
    assert token(frames) == token(again)
    others = [
        token(frames, relation=4),
        token(frames, relation=3 + nations.num_relations),
        token(frames[:2]),
        token([*frames[:2], frame_of(nations, 8)]),
        token(frames, rows=np.arange(0, frames[-1].size, 2)),
    ]
    assert len({token(frames), *others}) == 6


def test_keys_of_points_are_read_once_each():
    assert map_plate.parse(["e:3", "G_E:1", "e:3", "random:007"]) == [("e", 3), ("G_E", 1), ("random", 7)]
    assert len(map_plate.parse([f"e:{i}" for i in range(5000)])) == 2000


@pytest.mark.parametrize(
    "key",
    [
        "",
        "e",
        "e:",
        "e:-1",
        "e:²",
        "e:٣",
        "e:1.0",
        "e:1e3",
        "e: 1",
        "e:9999999999",
        "E:1",
        "<b>:1",
        7,
        None,
        {},
        [],
    ],
)
def test_a_key_that_is_none_is_left_out(key):
    assert map_plate.parse([key]) == []
