"""A study that is put together: the file it makes, how many runs that are, and what is wrong with what was chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dans_core.config import Config, matters
from dans_lab.budget.recipe import config_for
from dans_lab.runs.run import twin_config
from dans_lab.study.draft import MOST_RUNS, Draft, Refused
from dans_lab.study.plan import Plan, parse_plan

UMLS, WN18RR = 5_216, 86_835
WHOLE = Draft(
    samplers=("uniform", "dans", "nscaching"),
    decoders=("complex", "distmult"),
    seeds="10-12, 20",
    amount="40",
    settings={"dropout": "0.2, 0.30", "film": "None", "average": "0"},
)


def seconds(config: Config) -> float:
    """A tenth of a second an epoch, with a fifth more for DANS, and two for the rest."""
    return 2 + config.epochs * (0.12 if config.sampler == "dans" else 0.1)


def plan(draft: Draft, train: int = UMLS, taken: tuple[str, ...] = ()) -> Plan:
    return draft.plan(train, seconds, taken.__contains__)


def test_the_file_says_what_was_chosen() -> None:
    made = plan(WHOLE)
    assert WHOLE.runs() == len(made.jobs) == 3 * 2 * 2 * 4
    assert made.seeds == (10, 11, 12, 20) and made.name == "umls-samplers"
    (part,) = made.parts
    assert part.rows.name == "sampler" and part.reference == "uniform"
    assert [axis.name for axis in part.columns] == ["decoder", "dropout"]
    for planned in made.jobs:
        config = planned.config
        assert (config.epochs, config.film, config.average) == (40, "none", 0.0)
    assert {planned.config.dropout for planned in made.jobs} == {0.2, 0.3}
    again = parse_plan(made.text, made.name, "the file", UMLS)
    assert [planned.run for planned in again.jobs] == [planned.run for planned in made.jobs]


def test_a_budget_in_minutes_gives_each_kind_its_epochs() -> None:
    made = plan(replace(WHOLE, budget="minutes", amount="0.5"))
    assert len(made.jobs) == WHOLE.runs() and "0.5 minutes" in made.budget
    assert [part.title for part in made.parts] == [
        f"{decoder}, Dropout {dropout}" for decoder in ("ComplEx", "DistMult") for dropout in ("0.2", "0.3")
    ]
    for part in made.parts:
        assert part.rows.values == ("Uniform", "DANS", "NSCaching") and part.reference == "Uniform"
    for planned in made.jobs:
        longer = planned.config.with_values(epochs=planned.config.epochs + 2 + planned.config.epochs // 40)
        assert seconds(planned.config) <= 30 < seconds(longer)


def test_one_axis_in_minutes_is_one_table() -> None:
    made = plan(Draft(budget="minutes", amount="1"))
    assert [part.reference for part in made.parts] == ["DANS"] and made.name == "umls-dans-uniform"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"samplers": ()}, "samplers", "choose at least one of the samplers"),
        ({"samplers": ("dams",)}, "samplers", "there is no sampler 'dams'"),
        ({"decoders": ()}, "decoders", "choose at least one of the decoders"),
        ({"seeds": "five"}, "seeds", "must be a number such as 5"),
        ({"seeds": "0"}, "seeds", "at least 1"),
        ({"seeds": "3-1"}, "seeds", "must be a number such as 5"),
        ({"seeds": "1-3, 2"}, "seeds", "names a seed twice"),
        ({"amount": "-3"}, "budget", "must be a whole number, at least 1"),
        ({"amount": "2.5"}, "budget", "must be a whole number, at least 1"),
        ({"amount": "nan", "budget": "minutes"}, "budget", "must be a number above 0"),
        ({"amount": "0.01", "budget": "minutes"}, "budget", "not one epoch of Uniform"),
        ({"settings": {"dropout": "2"}}, "settings", "dropout = '2': must be a number, at least 0, below 1"),
        ({"settings": {"dropout": " , "}}, "settings", "Dropout has no value"),
        ({"settings": {"dropout": "0.1, 0.10"}}, "settings", "Dropout has a value twice"),
        ({"settings": {"dropout": ",".join(map(str, range(99)))}}, "settings", "more than 200 characters"),
        ({"settings": {"seed": "3"}}, "settings", "there is no setting 'seed'"),
        ({"settings": {"film": "warm"}}, "settings", "must be one of trained, frozen, none"),
        ({"settings": {"warmup_epochs": "40"}}, "settings", "must be below epochs = 40"),
        ({"name": "My study"}, "name", "cannot name a study"),
        ({"name": "main"}, "name", "there is a study 'main' already"),
        ({"name": "mine"}, "name", "there is a study 'mine' already"),
    ],
)
def test_what_is_wrong_is_one_sentence_by_its_field(change: dict, field: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        plan(replace(WHOLE, **change), taken=("mine",))
    assert refused.value.field == field and said in str(refused.value)


def test_runs_are_multiplied_before_they_are_listed() -> None:
    """A billion seeds would fill the memory."""
    for draft in (
        replace(WHOLE, seeds="0-999999999"),
        replace(
            WHOLE,
            settings={name: ", ".join(f"0.{n:03}" for n in range(1, 26)) for name in ("dropout", "average")},
        ),
    ):
        with pytest.raises(
            Refused, match=rf"settings × .* runs; a study from here has at most {MOST_RUNS:,}"
        ):
            plan(draft)


def test_nothing_to_compare_is_said() -> None:
    with pytest.raises(Refused, match="nothing to compare"):
        plan(Draft(samplers=("dans",)))


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert plan(Draft(), taken=("umls-dans-uniform", "umls-dans-uniform-2")).name == "umls-dans-uniform-3"


@pytest.mark.parametrize("train", [UMLS, WN18RR])
def test_a_run_and_its_twin_come_back_with_all_their_settings(train: int) -> None:
    """Whatever the size of the graph decides, those with the seed of the runs have their settings."""
    run = config_for(
        train,
        {
            "sampler": "dans",
            "epochs": 60,
            "sigma": 0.25,
            "dropout": 0.1,
            "score_message_edges": False,
            "message_split": 0.5,
        },
    )
    twin = twin_config(run)
    made = plan(Draft.of_runs([run, twin], "umls", train), train)
    assert len(made.jobs) == 10
    found = {(planned.config.sampler, planned.config.seed): planned.config for planned in made.jobs}
    for config in (run, twin):
        own = {name for name in Config.model_fields if matters(name, config.sampler, config.reading)}
        assert found[config.sampler, 0].model_dump(include=own) == config.model_dump(include=own)
