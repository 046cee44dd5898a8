"""Warnings: each trouble with figures that show it, when it begins and ends, and a watch that is taken up again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.events import Diagnostics, Losses, Ranking, SampledHealth
from dans_lab.health import LEARNED, WINDOW, HealthWarning, Watch
from dans_lab.health_words import worded
from dans_lab.runs.events_file import read_events
from dans_lab.watched import Onlooker, watched
from tests.sound_pathway import SOUND

CALM = Losses(
    epoch=1,
    base=0.1,
    warm_up=False,
    seconds=0.0,
    g_e=0.7,
    g_r=0.7,
    d_adv=0.6,
    d_real=0.7,
    d_fake_e=0.4,
    d_fake_r=0.4,
)
RECORDED = Path(__file__).resolve().parents[2] / "assets/recorded"


def figures(epoch: int, **trouble) -> Diagnostics:
    return Diagnostics(epoch, 1.0, -3.0, 0.05, 0.1, g_e=SOUND, g_r=dataclasses.replace(SOUND, **trouble))


def watching(*rounds: Losses) -> Watch:
    watch = Watch(num_entities=135, epochs=100)
    for losses in rounds:
        watch.played(losses)
    return watch


def codes(news) -> list[tuple[str, str | None, bool]]:
    return [(warning.code, warning.pathway, warning.active) for warning in news]


@pytest.mark.parametrize(
    ("trouble", "code", "lasts"),
    [
        ({"mean_cosine": 0.97}, "collapse", 2),
        ({"distinct_nearest": 6}, "collapse", 2),
        ({"distinct_nearest": 1, "conditions": 20}, "collapse", 2),
        ({"copy_spread": 0.001}, "copies", 2),
        ({"outscores_random": 0.02}, "easier-than-random", 3),
        ({"proposed_beats": 0.4, "false_negatives": 0.9}, "easier-than-random", 3),
        ({"false_negatives": 0.5}, "false-negatives", 2),
    ],
)
def test_a_trouble_of_a_pathway_is_told_once_it_lasts_and_ends_when_it_stays_away(trouble, code, lasts):
    watch, bad = watching(CALM), {"of": trouble}
    seen = [codes(watch.check(figures(epoch, **bad["of"]))) for epoch in range(lasts)]
    assert seen == [[]] * (lasts - 1) + [[(code, "G_R", True)]]
    assert watch.check(figures(10, **trouble)) == watch.check(figures(11)) == []
    assert watch.check(figures(12, **trouble)) == []
    assert watch.check(figures(13)) == watch.check(figures(14)) == []
    (ended,) = watch.check(figures(15))
    assert (ended.code, ended.pathway, ended.active, ended.epoch) == (code, "G_R", False, 15)


def test_a_trouble_that_comes_and_goes_is_never_told():
    watch = watching(CALM)
    for epoch in range(0, 12, 2):
        assert watch.check(figures(epoch, mean_cosine=0.97)) == watch.check(figures(epoch + 1)) == []


@pytest.mark.parametrize(
    ("real", "fake", "code"), [(0.99, 0.01, "d-too-strong"), (0.95, 0.11, "d-too-strong")]
)
def test_a_strong_d_is_named_over_rounds_not_by_one(real, fake, code):
    strong = dataclasses.replace(CALM, d_real=real, d_fake_e=fake, d_fake_r=fake)
    assert codes(watching(*[CALM] * WINDOW, strong).check(figures(1))) == []
    assert codes(watching(*[strong] * WINDOW).check(figures(1))) == [(code, None, True)]


def test_one_pathway_is_enough_to_judge_d():
    alone = dataclasses.replace(CALM, g_e=None, d_real=0.99, d_fake_e=None, d_fake_r=0.01)
    found = watching(*[alone] * WINDOW).check(dataclasses.replace(figures(1), g_e=None))
    assert codes(found) == [("d-too-strong", None, True)]
    assert "0.01 for fakes" in worded(found[0], Config()).message


@pytest.mark.parametrize(
    ("fake", "scale", "told"),
    [(0.7, 0.3, True), (0.7, 1.0, False), (0.9, 1.0, True), (0.6, 0.3, False)],
    ids=["alike but short", "alike", "outrun", "told apart"],
)
def test_d_is_weak_where_it_cannot_tell_what_differs_or_is_outrun(fake, scale, told):
    weak = dataclasses.replace(CALM, d_fake_e=fake, d_fake_r=fake)
    watch = watching(*[weak] * (LEARNED - 1))
    assert watch.check(figures(1, scale=scale)) == [], "every D starts out guessing"
    watch.played(weak)
    assert codes(watch.check(figures(2, scale=scale))) == ([("d-too-weak", None, True)] if told else [])


def test_a_d_that_hovers_about_the_bound_does_not_begin_and_end_again():
    watch, seen = watching(), []
    for epoch in range(60):
        fake = 0.69 if epoch // 10 % 2 else 0.66
        watch.played(dataclasses.replace(CALM, d_fake_e=fake, d_fake_r=fake))
        seen += codes(watch.check(figures(epoch, scale=0.3)))
    assert seen == [("d-too-weak", None, True)]


def test_losses_that_swing_are_named_and_those_that_drift_are_not():
    drifting = [dataclasses.replace(CALM, g_r=6 - 0.2 * step) for step in range(WINDOW)]
    swinging = [dataclasses.replace(CALM, g_r=8.0 * (step % 2)) for step in range(WINDOW)]
    assert watching(*drifting).check(figures(1)) == []
    (found,) = watching(*swinging).check(figures(1))
    assert (found.code, found.pathway, found.figures["swing"]) == ("unstable", "G_R", 8.0)


def test_a_ranking_below_the_floor_counts_after_some_epochs_and_not_by_one():
    watch = Watch(135, epochs=100)
    for mrr in (0.5, 0.1, 0.15, 0.2, 0.25):
        watch.ranked(mrr, 0.3)
    assert watch.check(figures(60)) == []
    watch.ranked(0.28, 0.3)
    assert watch.check(figures(60)) == [], "it rises"
    for mrr in (0.2, 0.1, 0.2, 0.1, 0.2):
        watch.ranked(mrr, 0.3)
    assert watch.check(figures(50)) == []
    (found,) = watch.check(figures(51))
    assert (found.code, found.figures) == ("below-floor", {"mrr": 0.2, "floor": 0.3})


def test_scores_that_tell_nothing_apart_are_named_once_that_lasts():
    dead = dataclasses.replace(figures(60), random_outscores_positive=0.5)
    watch = Watch(135, epochs=100)
    assert watch.check(dataclasses.replace(dead, epoch=50)) == [], "at first no model can tell"
    assert watch.check(dead) == []
    (found,) = watch.check(dataclasses.replace(dead, epoch=61))
    assert (found.code, found.figures) == ("tells-nothing", {"share": 0.5})
    said = worded(found, Config())
    assert said.message.startswith(
        "Scores do not tell facts from anything: a random entity outscores the true answer"
    )
    assert [warning.active for epoch in (62, 63, 64) for warning in watch.check(figures(epoch))] == [False]


def test_known_facts_among_the_negatives_of_another_sampler_are_named():
    def of(share: float, random_kl: float | None = None) -> Diagnostics:
        own = SampledHealth(
            outscores_random=0.5, outscores_positive=0.1, false_negatives=share, mean_score=0.0
        )
        return Diagnostics(1, 1.0, -3.0, 0.05, 0.1, sampled=own, random_kl=random_kl)

    for share, random_kl, told in ((0.5, None, True), (0.15, None, False), (0.5, 3.0, False)):
        watch = Watch(135, 100)
        assert watch.check(of(share, random_kl)) == []
        assert codes(watch.check(of(share, random_kl))) == ([("false-negatives", None, True)] if told else [])


def test_the_watch_is_taken_up_where_it_was_left():
    swings = [dataclasses.replace(CALM, g_r=8.0 * (step % 2)) for step in range(WINDOW)]
    first, second = watching(*swings), watching()
    for mrr in (0.1, 0.2, 0.1, 0.2, 0.1):
        first.ranked(mrr, 0.3)
    first.check(figures(1, copy_spread=0.0))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for watch in (first, second):
        watch.played(CALM)
    for epoch, trouble in ((2, {"copy_spread": 0.0}), (60, {}), (61, {}), (62, {}), (63, {})):
        assert first.check(figures(epoch, **trouble)) == second.check(figures(epoch, **trouble))
        assert first.state_dict() == second.state_dict()
    assert {warning.code for warning in first._told.values()} == {"unstable", "below-floor"}


def test_the_troubles_of_an_earlier_checkpoint_go_on_and_end():
    told = [80, "copies", "G_E", "Copies.", "Raise σ.", True, True, -2]
    untold = [80, "collapse", "G_R", "Collapsed.", "Warm up.", True, False, 1]
    watch = watching()
    watch.load_state_dict([told, untold])
    ended = watch.check(figures(90))
    assert ended == [HealthWarning(90, "copies", "G_E", "Copies.", "Raise σ.", active=False)]


@pytest.mark.parametrize("run", ["umls-complex-dans", "umls-complex-uniform"])
def test_nothing_is_wrong_with_the_recorded_runs(run):
    """Each rule with a whole sound run: 300 epochs of the recipe, as their events told them."""
    events = read_events(RECORDED / run / "events.jsonl", (RECORDED / run / "events.jsonl").read_bytes(), 0)
    kg = KnowledgeGraph.load("umls")
    waiting = [event.epoch for event in events if isinstance(event, Losses) and event.warm_up]
    last_warm_up = max(waiting, default=0)
    checks = [event for event in events if isinstance(event, Diagnostics) and event.epoch > last_warm_up]
    assert len(checks) >= 25 and any(isinstance(event, Ranking) for event in events)
    onlooker = Onlooker(Trainer(kg, Config(epochs=300, dim=2)))
    assert [event for event in onlooker.told(events) if isinstance(event, HealthWarning)] == []


def test_a_run_that_goes_on_from_a_checkpoint_tells_the_same_warnings(nations):
    """Learning rates that break it, so that there is something to tell before and after the checkpoint."""
    breaking = {"reading": "vectors", "play_every": 1, "loss": "bce", "lr_g": 0.1, "dim": 8, "seed": 1}
    config = Config(**breaking, epochs=24, warmup_epochs=2, diagnose_every=2)
    whole = [event for event in watched(Trainer(nations, config)) if isinstance(event, HealthWarning)]
    first = Trainer(nations, config)
    looking = Onlooker(first)
    before: list[HealthWarning] = []
    while first.epoch < 9:
        told = looking.told(first.step().events)
        before += [event for event in told if isinstance(event, HealthWarning)]
    second = Trainer(nations, config)
    second.load_state_dict(first.state_dict())
    going_on = Onlooker(second)
    going_on.load_state_dict(looking.state_dict())
    after = [event for event in going_on.told(second) if isinstance(event, HealthWarning)]
    assert before and after and before + after == whole


@pytest.mark.parametrize(
    ("scale", "advice"), [(0.3, "higher learning rate"), (30.0, "Lower the learning rate of G")]
)
def test_fakes_that_are_easy_since_g_went_too_far_ask_for_a_slower_g(scale, advice):
    watch = watching(CALM)
    found = [watch.check(figures(epoch, outscores_random=0.02, scale=scale)) for epoch in range(3)]
    assert advice in worded(found[-1][0], Config(reading="vectors")).advice
