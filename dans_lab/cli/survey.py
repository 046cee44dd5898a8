"""What `datasets NAME` prints: what a data set holds, and what to know before believing a score on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dans_data.words import count
from dans_lab.cli.download import bring
from dans_lab.cli.output import noted, print_json, print_table

if TYPE_CHECKING:
    from dans_core.kg import KnowledgeGraph
    from dans_data.columns import Columns
    from dans_lab.survey import Finding, RelationFacts, Statistics

_MOST_RELATIONS = 20


def show(name: str, json: bool, columns: Columns | None = None) -> None:
    """Print the survey of a data set: a known name, a folder or a file, and the columns that a person says it has.

    Raises InputError as `load` does.
    """
    from dans_core.kg import KnowledgeGraph
    from dans_data import available
    from dans_lab import survey

    bring(name, quiet=json)
    kg = KnowledgeGraph.load(name, columns=columns)
    figures, relations = survey.statistics(kg), survey.relations(kg)
    findings = survey.findings(kg, facts=relations)
    known = next((info for info in available() if info.name == name and info.here), None)
    facts, notes = known.facts if known else (), [noted(note, name) for note in kg.read_notes]
    if json:
        print_json(
            {
                "name": kg.name,
                "hash": kg.hash,
                "description": known.description if known else "",
                "origin": known.origin if known else "",
                "licence": known.licence if known else "",
                "facts": [fact.sentence for fact in facts],
                "notes": notes,
                "statistics": dataclasses.asdict(figures) | {"busiest": kg.entities[figures.busiest]},
                "findings": [dataclasses.asdict(finding) for finding in findings],
                "relations": [
                    dataclasses.asdict(each)
                    | {"inverse": None if each.inverse is None else kg.relations[each.inverse]}
                    for each in relations
                ],
            }
        )
        return
    print(kg.name)
    if known:
        licence = f" Licence: {known.licence}." if known.licence else ""
        print(f"{known.description} From {known.origin}.{licence}")
    print("\n".join(_figures(kg, figures)))
    _know([fact.sentence for fact in survey.unsaid(facts, findings)], findings, notes)
    _relations(kg, relations)


def _figures(kg: KnowledgeGraph, figures: Statistics) -> list[str]:
    sizes = " / ".join(f"{count:,}" for count in figures.triplets.values())
    seen = " / ".join(f"{count:,}" for count in figures.seen.values())
    parts = count(figures.components, "part")
    return [
        f"entities     {figures.entities:,} ({seen} of them in train / valid / test)",
        f"relations    {figures.relations:,}",
        f"triplets     {sizes} train / valid / test",
        f"degree       {figures.mean_degree:.1f} on average, {figures.median_degree:g} in the middle, "
        f"{figures.max_degree:,} at most ({kg.entities[figures.busiest]})",
        f"density      {figures.density:.2g} of all triplets that could be are in train",
        f"connected    {parts}; the largest has {100 * figures.largest:.1f} % of the entities of train",
    ]


def _know(facts: Sequence[str], findings: Sequence[Finding], notes: Sequence[str]) -> None:
    if not (facts or findings or notes):
        return
    print("\nbefore you believe a score")
    for finding in findings:
        mark = "!" if finding.severity == "caution" else "-"
        print(f"{mark} {finding.sentence} {finding.why}")
    for fact in facts:
        print(f"- {fact}")
    for note in notes:
        print(f"- {note[:1].upper()}{note[1:]}.")
    print()


def _relations(kg: KnowledgeGraph, relations: Sequence[RelationFacts]) -> None:
    largest = sorted(relations, key=lambda each: -sum(each.triplets.values()))[:_MOST_RELATIONS]
    columns = [("relation", False), ("train", True), ("valid", True), ("test", True), ("kind", False)]
    columns += [("tails/head", True), ("heads/tail", True), ("symmetric", True), ("nearest inverse", False)]
    rows = [
        [
            each.name,
            *(f"{count:,}" for count in each.triplets.values()),
            each.kind,
            f"{each.tails_per_head:.1f}",
            f"{each.heads_per_tail:.1f}",
            f"{100 * each.symmetric:.0f} %",
            ""
            if each.inverse is None
            else f"{kg.relations[each.inverse]} ({100 * each.inverse_share:.0f} %)",
        ]
        for each in largest
    ]
    left = len(relations) - len(largest)
    title = f"the {len(largest)} largest of {len(relations):,} relations" if left else "relations"
    print_table(title, columns, rows)
    if left:
        print("--json has them all.")
