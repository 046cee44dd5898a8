"""The Diagnostics screen without a browser: its words, charts and tables, live runs, and what an address may ask."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dans_app.diagnostics import figures, panels, words
from dans_app.diagnostics.figures import EpochAxis
from dans_app.shared.run_history import RunHistory
from dans_core import Config, KnowledgeGraph
from dans_core.events import Diagnostics, PathwayHealth, SampledHealth
from dans_lab.health import HealthWarning, Watch
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.examples import examples
from tests.sound_pathway import SOUND

screen = partial(small_run.screen, "diagnostics.py")
HOSTILE = "<img src=x onerror=alert(1)> **bold**"

SIDE = dataclasses.replace(
    SOUND,
    effective_nearest=45.0,
    scores=(-9.0, -5.0, -3.0, -1.0, 2.0),
    hardness=(-10.0, -6.0, -4.0, -2.0, 1.0),
    between_heads=0.8,
    between_relations=0.5,
    between_heads_neutral=0.6,
    between_relations_neutral=0.2,
)
ENTITY_SIDE = dataclasses.replace(SIDE, between_relations=0.0, between_relations_neutral=0.0, conditions=135)


def diagnosis(epoch: int, gan: bool = True, old: bool = False, **of_g_r: float) -> Diagnostics:
    """One diagnosis of chosen numbers; `old` as an earlier version wrote it."""
    found = Diagnostics(
        epoch,
        positive_score=1.0,
        random_score=-3.0,
        random_outscores_positive=0.05,
        random_false_negatives=0.1,
        g_e=ENTITY_SIDE if gan else None,
        g_r=dataclasses.replace(SIDE, **of_g_r) if gan else None,
        positive_scores=(0.0, 0.5, 1.0, 1.5, 2.0),
        random_scores=(-7.0, -5.0, -3.0, -1.0, 0.0),
        random_hardness=(-8.0, -6.0, -4.0, -2.0, -1.0),
        num_entities=135,
    )
    if not old:
        return found
    bare = {f.name: None for f in dataclasses.fields(PathwayHealth) if f.default is None}
    return dataclasses.replace(
        found,
        g_e=found.g_e and dataclasses.replace(found.g_e, **bare),
        g_r=found.g_r and dataclasses.replace(found.g_r, **bare),
        positive_scores=None,
        random_scores=None,
        random_hardness=None,
        num_entities=None,
    )


PROPOSED = {
    "proposed_entities": 40.0,
    "proposed_kl": 2.0,
    "proposed_facts": 0.2,
    "proposed_beats": 0.75,
    "proposed_adds": 0.1,
}
TRAINED_ON = SampledHealth(
    outscores_random=0.8,
    outscores_positive=0.2,
    mean_score=-1.0,
    false_negatives=0.51,
    scores=(-4, -2, -1, 0, 1),
    hardness=(-5, -3, -2, -1, 0),
)


def proposing(epoch: int, **of_g_r: float) -> Diagnostics:
    """A diagnosis of fakes that are proposals."""
    found = diagnosis(epoch, **{**PROPOSED, **of_g_r})
    of_g_e = dataclasses.replace(found.g_e, **{**PROPOSED, "proposed_kl": 2.5, "proposed_adds": -0.02})
    return dataclasses.replace(found, g_e=of_g_e, sampled=TRAINED_ON, random_kl=3.0)


def warning(epoch: int, code: str = "collapse", pathway: str | None = "G_R", active: bool = True):
    return HealthWarning(epoch, code, pathway, f"Message of {code}.", f"Advice on {code}.", active)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    small_run.only(tmp_path / "runs", tmp_path, monkeypatch)
    return tmp_path / "runs"


def written(root: Path, run_id: str, *events, sampler: str = "dans", epochs: int = 100) -> RunWriter:
    """A run of Nations with these events, its writer still open."""
    kg = KnowledgeGraph.load("nations")
    config = Config(sampler=sampler, epochs=epochs, warmup_epochs=20)
    writer = RunWriter.create(root, run_id, config, kg.name, kg.hash, "nations")
    writer.append(*events)
    return writer


def finished(root: Path, run_id: str, *events, **settings) -> Run:
    with written(root, run_id, *events, **settings) as writer:
        writer.write_status("finished", epoch=writer.config.epochs)
        return writer.run


def said(app) -> str:
    return "\n".join(
        item.value for kind in ("markdown", "caption", "info", "warning") for item in app.get(kind)
    )


def is_plain(text: str) -> bool:
    """Whether nothing of `HOSTILE` stands in Markdown as it is."""
    return "<img" not in text.replace("\\<", "") and "**bold" not in text


def charts(app) -> list[str]:
    """What each chart says of itself."""
    return [chart.proto.alt for chart in app.get("plotly_chart")]


def asked(app, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


# --- troubles --------------------------------------------------------------------------------------------------


@examples(60)
@given(
    some.lists(
        some.tuples(
            some.sampled_from(["collapse", "copies"]), some.sampled_from(["G_E", "G_R"]), some.booleans()
        ),
        max_size=14,
    )
)
def test_a_trouble_is_on_at_the_epochs_where_its_latest_news_says_so(news):
    """Whatever a file says, also a begin after a begin or an end without one."""
    events = [warning(10 * place, code, pathway, on) for place, (code, pathway, on) in enumerate(news)]
    found = words.spans(events)
    for epoch in range(0, 150, 5):
        state: dict[tuple[str, str | None], bool] = {}
        for event in events:
            if event.epoch <= epoch:
                state[event.code, event.pathway] = event.active
        on = [
            (span.warning.code, span.warning.pathway)
            for span in found
            if span.begin <= epoch and (span.end is None or epoch < span.end)
        ]
        assert sorted(on) == sorted(key for key, active in state.items() if active)


def test_a_trouble_that_comes_again_is_told_once_and_what_is_wrong_now_stands_first():
    events = [
        warning(30),
        warning(30, "copies"),
        warning(50, active=False),
        warning(60, "d-too-weak", None),
        warning(80),
        warning(90, active=False),
    ]
    groups = words.troubles(words.spans(events))
    assert [words.title(group[0].warning) for group in groups] == [
        "D too weak",
        "Copies, G_R",
        "Collapse, G_R",
    ]
    assert [span.words for span in groups[2]] == ["epochs 80 to 90", "epochs 30 to 50"]
    assert groups[0][0].words == "since epoch 60"


def test_bars_reach_from_the_begin_of_a_trouble_to_its_end_and_foreign_text_is_only_text():
    spans = words.spans(
        [warning(30), warning(50, active=False), warning(60, "d-too-weak", None), warning(70, HOSTILE, "G_E")]
    )
    chart = figures.timeline(spans, now=90, axis=EpochAxis(100))
    bars = {
        (base, base + length, lane)
        for trace in chart.data
        for base, length, lane in zip(trace.base, trace.x, np.round(trace.y), strict=True)
    }
    assert bars == {(30, 50, 9), (60, 90, 5), (70, 90, 0)}
    assert [chart.layout.yaxis.ticktext[lane] for lane in (9, 5)] == ["Collapse", "D too weak"]
    assert "<img" not in chart.to_json().replace("\\u003c", "<").replace("&lt;img", "")
    assert "Collapse, G_R, epochs 30 to 50" in figures.timeline_alt(spans)


# --- verdicts --------------------------------------------------------------------------------------------------


@examples(150)
@given(
    outscores_random=some.floats(0, 1),
    mean_cosine=some.floats(0, 1),
    copy_spread=some.floats(0, 0.1),
    distinct_nearest=some.integers(1, 20),
    false_negatives=some.floats(0, 0.5),
)
def test_the_verdict_names_what_the_warnings_name(**values):
    found = diagnosis(1, **values, effective_nearest=1.0)
    watch = Watch(135, 100)
    codes = {event.code for _ in range(3) for event in watch.check(found)}
    g_r = words.verdicts(found)[1]
    assert ("much easier" in g_r) == ("easier-than-random" in codes)
    assert ("collapsed" in g_r) == ("collapse" in codes)
    assert ("**copies**" in g_r) == ("copies" in codes)
    assert ("far more" in g_r) == ("false-negatives" in codes)


def test_the_verdict_of_a_healthy_pathway_in_full():
    verdict = words.verdicts(diagnosis(1, outscores_random=0.7))[1].replace("\N{NO-BREAK SPACE}", " ")
    assert verdict == (
        ":blue[■] **G_R** makes fakes that are **harder than random negatives** (70 % outscore one) and outscore the "
        "positive in 10 % of cases (random: 5 %). They are diverse (as widely as an even choice among 45.0 of 135); "
        "the draws for one condition differ. 10 % would be known facts, about as many as random negatives (10 %)."
    )


def test_the_verdict_of_proposals_in_full():
    of_both, of_e, of_r = (
        line.replace("\N{NO-BREAK SPACE}", " ") for line in words.verdicts(proposing(1), "dans")
    )
    assert of_r == (
        ":blue[■] **G_R** spreads as widely as an even choice among 40.0 entities; one drawn from it outscores 75 % of "
        "the others. It is closer to the decoder’s beliefs than random ones (KL 2.00; random: 3.00), and makes the "
        "mixture better (without it, its KL would be 0.1 higher). Its fakes are diverse (as widely as an even choice "
        "among 45.0 of 135); the draws for one condition differ."
    )
    assert "**makes the mixture worse** (without it, its KL would be 0.02 lower)" in of_e
    assert of_both == (
        ":yellow[★] **Proposed** entities are what is trained on: a mixture of the pathways’ proposals and uniform "
        "chances. Each as often as it weighs, they are **harder than random negatives** (80 % outscore one) and "
        "outscore the positive in 20 % of cases (random: 5 %). 51 % are known facts (random: 10 %), which is no fault: "
        "an entity weighs the more, the more the decoder believes it."
    )
    bad = words.verdicts(proposing(1, proposed_kl=3.5, proposed_adds=0.001), "dans")[2]
    assert (
        "**further from** the decoder’s beliefs" in bad and "adds nothing to what the others propose" in bad
    )
    crowded, spread = (
        words.verdicts(proposing(1, distinct_nearest=72, effective_nearest=even), "dans")[2]
        for even in (9.0, 34.0)
    )
    assert "**crowd around few entities** (as widely as an even choice among 9.0 of 135)" in crowded
    assert "spread over some entities (as widely as an even choice among 34.0 of 135)" in spread
    assert "collapsed" in words.verdicts(proposing(1, mean_cosine=0.99, effective_nearest=1.0), "dans")[2]


def test_adaptivity_in_words_compares_the_pathway_with_itself_without_film():
    of_e, of_r = words.adaptivity(diagnosis(1))
    assert "differ between heads 0.8 times as much as entities do" in of_e
    assert "Without FiLM, they would differ between heads 0.6 times as much as entities do." in of_e
    assert "does not know the relation" in of_e and "relations 0" not in of_e
    assert "between heads 0.6 times and between relations 0.2 times as much as entities do" in of_r
    constant = words.adaptivity(diagnosis(1, between_heads=0.0))[1]
    assert "differ between heads 0 times" in constant and "would differ between heads 0.6 times" in constant
    assert words.adaptivity(diagnosis(1, old=True)) == words.adaptivity(diagnosis(1, gan=False)) == []


# --- tables ----------------------------------------------------------------------------------------------------


def test_the_table_holds_every_figure_of_the_event():
    found = proposing(1)
    rows = words.table(found).set_index("figure")
    for side, column in ((found.g_e, "G_E"), (found.g_r, "G_R")):
        values = dataclasses.astuple(side)
        numbers = [x for value in values for x in (value if isinstance(value, tuple) else (value,))]
        assert sorted(rows[column].dropna()) == pytest.approx(sorted(numbers))
    assert rows.loc["outscores the positive", "random"] == 0.05
    text = words.shown(words.table(found)).set_index("figure")
    shares = [f"{share}\N{NO-BREAK SPACE}%" for share in (50, 50, 80)]
    assert text.loc["outscores a random negative"].tolist() == [*shares, "", ""]
    assert text.loc["conditions looked at", "G_R"] == "1,560"


def test_tables_leave_out_what_a_run_has_not():
    rows = words.table(diagnosis(1, gan=False))
    assert list(rows.columns) == ["figure", "random", "positive"] and len(rows) == 13
    assert "effective rank" not in words.history([diagnosis(1, gan=False)]).columns
    every = words.history([diagnosis(10), diagnosis(20, old=True)])
    assert every["epoch"].tolist() == [10] * 4 + [20] * 4
    of_g_r = every[every["source"] == "G_R"]
    assert of_g_r["between heads"].tolist() == pytest.approx([0.8, np.nan], nan_ok=True)


# --- charts ----------------------------------------------------------------------------------------------------


def test_curves_are_the_figures_of_the_events():
    found = [diagnosis(10, copy_spread=0.3), diagnosis(20, copy_spread=0.2), diagnosis(30, old=True)]
    made = panels.panels(found)
    chart = figures.curves(made["copies"], [10, 20, 30], EpochAxis(100, 20, 20))
    g_r = next(trace for trace in chart.data if trace.name == "G_R")
    assert list(g_r.x) == [10, 20, 30] and list(g_r.y) == [0.3, 0.2, 0.4]
    lines = {line.name: line.values for line in made["heads"].lines}
    assert lines["G_R without FiLM"].tolist() == pytest.approx([0.6, 0.6, np.nan], nan_ok=True)
    assert figures.curves_alt(made["random"], [10, 20, 30], 20).endswith(
        "G_E 50\N{NO-BREAK SPACE}%, G_R 50\N{NO-BREAK SPACE}%."
    )
    # The marked epoch is a vertical line, the warm-up a box.
    places = [(shape.type, shape.x0, shape.x1) for shape in chart.layout.shapes]
    assert ("line", 20, 20) in places and ("rect", 0, 20) in places


def test_proposals_have_curves_of_their_own_and_other_words_for_known_facts():
    made, plain = (
        panels.panels([proposing(10), proposing(20)], "dans"),
        panels.panels([diagnosis(10)], "dans"),
    )
    assert set(made) - set(plain) == {"proposed", "kl", "beats", "facts", "adds"} and set(plain) < set(made)
    curves = {
        (name, line.name): line.values.tolist()
        for name in ("proposed", "kl", "beats", "facts", "adds")
        for line in made[name].lines
    }
    assert curves == {
        ("proposed", "G_E"): [40, 40],
        ("proposed", "G_R"): [40, 40],
        ("kl", "G_E"): [2.5, 2.5],
        ("kl", "G_R"): [2, 2],
        ("kl", "Random"): [3, 3],
        ("beats", "G_E"): [0.75, 0.75],
        ("beats", "G_R"): [0.75, 0.75],
        ("facts", "G_E"): [0.2, 0.2],
        ("facts", "G_R"): [0.2, 0.2],
        ("adds", "G_E"): [-0.02, -0.02],
        ("adds", "G_R"): [0.1, 0.1],
    }
    assert "no fault" in made["known"].about and "false negatives" in plain["known"].about
    assert [line.name for line in made["known"].lines] == ["G_E", "G_R", "Proposed", "Random"]


def test_false_negatives_have_no_lane_where_nobody_looks_for_them():
    def lanes(**settings) -> set[str]:
        watched = words.watched(Config(**settings))
        return set(figures.timeline([], 90, EpochAxis(100), watched).layout.yaxis.ticktext)

    assert lanes(reading="vectors") - lanes(reading="entities") == {"False negatives"}
    early = words.spans([warning(30, "false-negatives")])
    chart = figures.timeline(early, 90, EpochAxis(100), words.watched(Config(reading="entities")))
    assert "False negatives" in chart.layout.yaxis.ticktext, "what was told is shown whatever is looked for"


def test_bands_are_the_quantiles_and_an_earlier_version_has_means():
    found = [diagnosis(10), diagnosis(20)]
    by_name = {band.name: band.quantiles for band in figures.bands(found, against=False)}
    assert list(by_name) == ["Positives", "Random", "G_E", "G_R"]
    assert by_name["G_R"].tolist() == [list(SIDE.scores)] * 2
    against = {band.name: band.quantiles for band in figures.bands(found, against=True)}
    assert list(against) == ["Random", "G_E", "G_R"]
    assert against["Random"].tolist() == [[-8, -6, -4, -2, -1]] * 2
    chart = figures.hardness(figures.bands(found, True), [10, 20], EpochAxis(100), against=True)
    widest = next(trace for trace in chart.data if trace.legendgroup == "G_R" and trace.fill)
    assert sorted(widest.y) == [-10, -10, 1, 1]
    (old, *_) = [band for band in figures.bands([diagnosis(10, old=True)], True) if band.name == "G_R"]
    assert not old.whole and old.quantiles[0, 2] == -4


@examples(30)
@given(some.integers(1, 3000), some.integers(0, 3000))
def test_a_long_run_is_thinned_evenly_and_keeps_the_newest_and_the_chosen(size, chosen):
    found = [dataclasses.replace(diagnosis(1, gan=False), epoch=epoch) for epoch in range(1, size + 1)]
    kept = [one.epoch for one in panels.thinned(found, chosen)]
    assert len(kept) <= panels.MOST + 1 and kept[-1] == size and kept == sorted(set(kept))
    assert chosen in kept or not 1 <= chosen <= size
    others = [epoch for epoch in kept if epoch != chosen]
    assert len(set(np.diff(others))) <= 2 or len(others) < 4


# --- the screen ------------------------------------------------------------------------------------------------


def test_a_finished_run_is_told_in_words_charts_and_a_table(folder):
    finished(folder, "a-run", diagnosis(10), diagnosis(20), warning(20), diagnosis(30, outscores_random=0.05))
    app = screen(run="a-run")
    assert "At epoch 30" in said(app) and "**much easier than random negatives**" in said(app)
    assert "Message of collapse" in said(app) and "Advice on collapse" in said(app)
    assert len(charts(app)) == 11 and all(charts(app))
    assert len(app.dataframe) == 1, "the closed table is not made"
    assert (
        app.dataframe[0].value.set_index("figure").loc["outscores a random negative", "G_R"].startswith("5")
    )
    app.select_slider[0].set_value(10).run()
    assert asked(app, "epoch") == "10"
    assert "At epoch 10" in said(app) and "Warm-up lasts to epoch 20" in said(app)
    assert sum("At epoch 10" in alt for alt in charts(app)) == 10
    app.segmented_control[0].set_value("against").run()
    assert asked(app, "scores") == "against"
    assert any(alt.startswith("Scores minus the positive’s") for alt in charts(app))
    app.select_slider[0].set_value(0).run()
    assert asked(app, "epoch") is None and "At epoch 30" in said(app)


def test_a_run_whose_fakes_are_proposals_shows_what_they_propose(folder):
    finished(folder, "a-run", proposing(10), proposing(20, proposed_kl=1.75))
    app = screen(run="a-run")
    assert len(charts(app)) == 16 and words.PROPOSALS in said(app)
    assert "What does the generator propose?" in [header.value for header in app.header]
    kl = next(alt for alt in charts(app) if alt.startswith("KL from the decoder"))
    assert kl.endswith("At epoch 20: G_E 2.5, G_R 1.75, Random 3.")
    assert "which is no fault" in said(app) and "is taught" not in said(app)
    rows = app.dataframe[0].value.set_index("figure")
    assert list(rows.columns) == ["G_E", "G_R", "Proposed", "random", "positive"]
    assert rows.loc["proposal, KL from the decoder"].tolist() == ["2.50", "1.75", "", "3.00", ""]


def test_fakes_that_are_negatives_have_no_charts_of_proposals(folder):
    finished(folder, "a-run", diagnosis(10), diagnosis(20))
    app = screen(run="a-run")
    assert "What does the generator propose?" not in [header.value for header in app.header]


def test_a_link_opens_the_view_it_was_made_of(folder):
    finished(folder, "a-run", diagnosis(10), diagnosis(20), diagnosis(30))
    app = screen(run="a-run", epoch="20", scores="against")
    assert "At epoch 20" in said(app) and app.select_slider[0].value == 20
    assert app.segmented_control[0].value == "against" and not app.warning


@pytest.mark.parametrize("epoch", ["-5", "25", "1e9", "٣", "9" * 5000, HOSTILE])
def test_a_hostile_epoch_gets_one_sentence_until_something_is_chosen(folder, epoch):
    finished(folder, "a-run", diagnosis(10), diagnosis(20))
    app = screen(run="a-run", epoch=epoch)
    (told,) = app.warning
    assert "was not diagnosed at epoch" in told.value and len(told.value) < 300
    assert is_plain(told.value)
    assert "At epoch 20" in said(app) and asked(app, "epoch") is None
    app.select_slider[0].set_value(10).run()
    assert not app.warning


def test_a_hostile_kind_of_scores_gets_one_sentence(folder):
    finished(folder, "a-run", diagnosis(10))
    (told,) = screen(run="a-run", scores=HOSTILE).warning
    assert "it can be score or against" in told.value


def test_a_run_without_a_gan_shows_what_it_has_and_says_why_the_rest_is_absent(folder):
    finished(folder, "a-run", diagnosis(10, gan=False), diagnosis(20, gan=False), sampler="uniform")
    app = screen(run="a-run")
    assert "**Random negatives** outscore the positive in 5" in said(app)
    assert "What only fakes can do is left out" in said(app)
    assert len(charts(app)) == 3 and "G_R" not in " ".join(charts(app))


def test_a_run_of_an_earlier_version_shows_means(folder):
    finished(folder, "a-run", diagnosis(10, old=True), diagnosis(20, old=True))
    app = screen(run="a-run")
    assert "of an earlier version" in said(app)
    assert "G_R mean -3.00" in next(alt for alt in charts(app) if alt.startswith("Decoder scores"))
    assert len(charts(app)) == 9, "without adaptivity"


def test_a_live_run_is_followed_and_a_chosen_epoch_stays(folder):
    with written(folder, "a-run") as writer:
        writer.write_status("running")
        app = screen(run="a-run")
        assert "the first comes after 10 epochs" in said(app) and not charts(app)
        writer.append(diagnosis(10))
        writer.append(diagnosis(20), warning(20))
        app.run()
        assert "At epoch 20" in said(app) and "following the newest, 20" in app.select_slider[0].label
        app.select_slider[0].set_value(10).run()
        writer.append(diagnosis(30), warning(30, active=False))
        app.run()
        assert "At epoch 10" in said(app) and asked(app, "epoch") == "10"
        assert "epochs 20 to 30" in said(app)
        app.select_slider[0].set_value(0).run()
        assert "At epoch 30" in said(app)
        writer.write_status("finished", epoch=100)
    app.run()
    assert "At epoch 30" in said(app) and app.select_slider[0].label == "Epoch"


def test_a_run_that_ended_before_its_first_diagnosis_says_so(folder):
    finished(folder, "a-run")
    assert "ended before its first diagnosis" in said(screen(run="a-run"))


def test_without_a_run_there_is_one_friendly_sentence():
    assert "There is no run yet" in said(screen())


def test_damaged_events_get_one_sentence(folder):
    run = finished(folder, "a-run", diagnosis(10))
    with (run.path / "events.jsonl").open("ab") as stream:
        stream.write(b'{"event": "diagnostics", "epoch": "ten"}\n')
    (told,) = screen(run="a-run").error
    assert told.value.startswith("This run cannot be diagnosed")


def test_foreign_words_of_a_warning_are_only_text(folder):
    bad = HealthWarning(20, HOSTILE, "G_R", HOSTILE, HOSTILE)
    finished(folder, "a-run", diagnosis(20), bad)
    assert is_plain(said(screen(run="a-run")))


def test_a_trained_run_fills_every_chart(folder):
    small_run.trained(folder, "trained")
    app = screen(run="trained")
    assert len(charts(app)) == 11 and "Without FiLM" in said(app)
    assert not any("nothing measured" in alt for alt in charts(app))


def own(epoch: int, **values: float) -> Diagnostics:
    """A diagnosis of a sampler without a GAN."""
    chosen = {"outscores_random": 0.7, "outscores_positive": 0.2, "mean_score": -1.0, "false_negatives": 0.51}
    sampled = SampledHealth(**chosen | values, scores=(-4, -2, -1, 0, 1), hardness=(-5, -3, -2, -1, 0))
    return dataclasses.replace(diagnosis(epoch, gan=False), sampled=sampled)


def test_the_verdict_on_a_sampler_in_full():
    (verdict,) = words.verdicts(own(1), "kbgan")
    assert verdict.replace("\N{NO-BREAK SPACE}", " ") == (
        ":yellow[★] **KBGAN**: its negatives are **harder than random negatives** (70 % outscore one) and outscore "
        "the positive in 20 % of cases (random: 5 %). 51 % are known facts, **far more than random negatives** "
        "(10 %): the model is taught that so many true facts are false."
    )
    assert "is taught" not in words.verdicts(own(1, false_negatives=0.12), "kbgan")[0]


def test_the_own_negatives_of_a_sampler_stand_beside_random_ones(folder):
    finished(folder, "a-run", own(10), own(30, false_negatives=0.3), sampler="kbgan")
    app = screen(run="a-run", epoch="10")
    assert "**KBGAN**: its negatives are" in said(app)
    assert "Warm-up lasts to epoch 20: random negatives are trained on" in said(app)
    assert len(charts(app)) == 4
    assert "KBGAN 51\N{NO-BREAK SPACE}%, Random 10\N{NO-BREAK SPACE}%" in charts(app)[3]
    assert "KBGAN median -1.00, from -4.00 to 1.00" in charts(app)[0]
    rows = app.dataframe[0].value.set_index("figure")
    assert list(rows.columns) == ["KBGAN", "random", "positive"]
    assert rows.loc["nearest entity is a known fact", "KBGAN"].startswith("51")
    assert rows.loc["against the positive, 95 %", "KBGAN"] == "+0.00"
    assert "effective rank" not in rows.index
    every = words.history([own(10)], "kbgan")
    assert every["source"].tolist() == ["KBGAN", "random", "positive"]
    assert "Warm-up" not in said(screen(run="a-run"))


@pytest.mark.parametrize(
    ("settings", "charted", "missing"),
    [
        ({"sampler": "nscaching"}, 4, "G_"),
        ({"sampler": "kbgan"}, 4, "G_"),
        ({"sampler": "one-vs-all"}, 3, "G_"),
        ({"pathways": "G_R", "film": "frozen", "aux_weight": 0.0}, 11, "G_E"),
        ({"pathways": "G_E"}, 11, "G_R"),
        ({"film": "none"}, 11, "without FiLM"),
        ({"reading": "entities"}, 16, "no such source"),
        ({"reading": "entities", "pathways": "G_R"}, 16, "G_E"),
    ],
)
def test_a_trained_run_charts_what_it_has_and_nothing_else(folder, settings, charted, missing):
    small_run.trained(folder, "trained", **settings)
    app = screen(run="trained")
    assert len(charts(app)) == charted and missing not in " ".join(charts(app))
    assert not any("nothing measured" in alt for alt in charts(app))
    assert missing not in " ".join(app.dataframe[0].value["figure"]) + " ".join(
        app.dataframe[0].value.columns
    )
    if missing == "without FiLM":
        assert "FiLM" not in said(app)


def test_the_story_keeps_every_diagnosis(folder):
    with written(folder, "a-run", diagnosis(10), diagnosis(20)) as writer:
        history = RunHistory("a-run").follow(writer.run)
        assert [found.epoch for found in history.diagnoses] == [10, 20] and history.diagnostics.epoch == 20
        writer.append(diagnosis(30))
        assert [found.epoch for found in history.follow(writer.run).diagnoses] == [10, 20, 30]
