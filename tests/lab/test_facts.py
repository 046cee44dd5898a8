"""The facts that the catalogue tells of its data sets, each figure counted from the data by the plainest means."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

import dans_data as datasets
from dans_core import KnowledgeGraph
from dans_core.ranking import popularity_floor
from dans_data import SPLITS, Triplet
from dans_data.catalogue import CATALOGUE
from dans_lab.names import DATASETS
from dans_lab.survey import findings
from tests.real_data import needs_data, real_folder

LARGE = ("wn18rr", "nell-995")
EVERY = [pytest.param(name, marks=needs_data(name)) if name in LARGE else name for name in CATALOGUE]


@pytest.fixture(autouse=True)
def _data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [folder for name in LARGE if (folder := real_folder(name))]
    if found:
        monkeypatch.setenv("DANS_DATA_DIR", str(found[0].parent))


@cache
def splits(name: str) -> dict[str, list[Triplet]]:
    return dict(datasets.load(name).splits)


def of_train(name: str) -> tuple[set[Triplet], set[tuple[str, str]], set[str]]:
    train = set(splits(name)["train"])
    return train, {(h, t) for h, _, t in train}, {e for h, _, t in train for e in (h, t)}


def text(name: str) -> str:
    return " ".join(fact.sentence for fact in CATALOGUE[name].facts)


@pytest.mark.parametrize("name", EVERY)
def test_the_counts(name: str) -> None:
    known, found = CATALOGUE[name], splits(name)
    whole = [triplet for split in SPLITS for triplet in found[split]]
    assert known.counts == (
        len({e for h, _, t in whole for e in (h, t)}),
        len({r for _, r, _ in whole}),
        *(len(set(found[split])) for split in SPLITS),
    )
    # No triplet is there twice, in one split or in two.
    assert len(set(whole)) == len(whole) == sum(known.counts[2:])


@pytest.mark.parametrize("name", EVERY)
def test_the_files_are_the_published_ones(name: str) -> None:
    info = {info.name: info for info in datasets.available()}[name]
    for split, file in CATALOGUE[name].files.items():
        path = info.path / f"{split}.txt"
        assert file.is_right(path) and path.stat().st_size == file.size
    assert info.facts == CATALOGUE[name].facts and info.here


@pytest.mark.parametrize("name", EVERY)
def test_the_floor(name: str) -> None:
    floor = popularity_floor(KnowledgeGraph.load(name), "test").mrr
    assert f"with no model, reaches a test MRR of {floor:.3f}" in text(name)


@pytest.mark.parametrize("name", EVERY)
def test_reversed_copies_in_train(name: str) -> None:
    train, _, _ = of_train(name)
    test = splits(name)["test"]
    reversed_ = [r for h, r, t in test if (t, r, h) in train]
    assert re.search(
        rf"\b{len(reversed_):,}( of {len(test):,} test triplets)? have their reverse (there )?under the same",
        text(name),
    )
    if name == "wn18rr":
        # Symmetric: nearly every triplet of train has its reverse there too.
        both = Counter(r for h, r, t in train if (t, r, h) in train)
        every = Counter(r for _, r, _ in train)
        symmetric = {r for r in every if both[r] > 0.85 * every[r]}
        assert sum(r in symmetric for r in reversed_) > 0.95 * len(reversed_)


def test_pairs_linked_in_train() -> None:
    _, pairs, _ = of_train("umls")
    linked = sum((h, t) in pairs or (t, h) in pairs for h, _, t in splits("umls")["test"])
    assert f"{linked} have their two entities linked in train, in one direction or the other" in text("umls")
    _, pairs, _ = of_train("kinships")
    assert f"{sum((t, h) in pairs for h, _, t in splits('kinships')['test'])} have their two" in text(
        "kinships"
    )
    assert not any((h, t) in pairs for h, _, t in splits("kinships")["test"])
    _, pairs, _ = of_train("nations")
    assert all((h, t) in pairs for h, _, t in splits("nations")["test"])


@pytest.mark.parametrize("name", ["umls", "nations"])
def test_true_answers_of_a_query(name: str) -> None:
    whole = {triplet for split in SPLITS for triplet in splits(name)[split]}
    tails = Counter((h, r) for h, r, _ in whole)
    heads = Counter((r, t) for _, r, t in whole)
    test = splits(name)["test"]
    mean_tails = sum(tails[h, r] for h, r, _ in test) / len(test)
    mean_heads = sum(heads[r, t] for _, r, t in test) / len(test)
    assert f"{mean_tails:.1f} true tails or {mean_heads:.1f} true heads on average" in text(name)
    assert f"{2 * len(test):,} test queries" in text(name)


@pytest.mark.parametrize("name", EVERY)
def test_entities_unseen_in_train(name: str) -> None:
    _, _, seen = of_train(name)
    test = splits(name)["test"]
    unseen = sum(h not in seen or t not in seen for h, _, t in test)
    if name == "wn18rr":
        never = {e for split in SPLITS for h, _, t in splits(name)[split] for e in (h, t)} - seen
        assert f"{len(never)} entities never occur in train, and {unseen} test triplets" in text(name)
        assert f"({len(test) - unseen:,} stay)" in text(name)
    elif unseen:
        assert f"{unseen:,} of {len(test):,} test triplets contain an entity that never occurs" in text(name)
    else:
        assert "never occur" not in text(name)


@needs_data("wn18rr")
def test_two_relations_of_wn18rr() -> None:
    train = splits("wn18rr")["train"]
    first, second = Counter(r for _, r, _ in train).most_common(2)
    assert {first[0], second[0]} == {"_hypernym", "_derivationally_related_form"}
    assert f"make up {100 * (first[1] + second[1]) / len(train):.0f} % of train" in text("wn18rr")


@needs_data("nell-995")
def test_the_split_of_nell_995() -> None:
    sizes = " / ".join(f"{len(splits('nell-995')[split]):,}" for split in SPLITS)
    assert f"split of the DANS paper ({sizes})" in text("nell-995")


@pytest.mark.parametrize("name", EVERY)
def test_a_finding_that_tells_of_a_fact_has_its_figures(name: str) -> None:
    said = {finding.kind: finding.sentence for finding in findings(KnowledgeGraph.load(name))}
    # The floor is no finding, and what a test split can bear is told of any graph by a figure of its own.
    other = {"floor", "few"}
    counted = [fact for fact in CATALOGUE[name].facts if fact.told_by and not other & {*fact.told_by}]
    for fact in counted:
        words = " ".join(said[kind] for kind in fact.told_by)
        assert set(re.findall(r"[\d,]*\d", fact.sentence)) <= set(re.findall(r"[\d,]*\d", words))
    assert counted


def test_every_data_set_of_the_catalogue_is_told_of() -> None:
    assert list(CATALOGUE) == list(DATASETS)
    for name, known in CATALOGUE.items():
        assert known.title == DATASETS[name] and known.description.endswith(".")
        assert known.origin and known.licence and known.facts
        assert known.bundled == (name not in LARGE)
