"""What a data set is like: its sizes, degrees and relations, what to know before believing a score, one entity's links.

Numpy alone, no torch: half a second for NELL-995. What a model learns from is train, so degrees and the figures of
relations count train triplets.
"""

from dans_lab.survey.around import Link, Neighbourhood, neighbourhood
from dans_lab.survey.counts import Degrees, Statistics, degrees, distribution, statistics
from dans_lab.survey.findings import Finding, findings, unsaid, warnings
from dans_lab.survey.relation_facts import RelationFacts, relations

__all__ = [
    "Degrees",
    "Finding",
    "Link",
    "Neighbourhood",
    "RelationFacts",
    "Statistics",
    "degrees",
    "distribution",
    "findings",
    "neighbourhood",
    "relations",
    "statistics",
    "unsaid",
    "warnings",
]
