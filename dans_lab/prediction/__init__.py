"""What a trained model answers: open places of triplets filled, ranked, known facts marked, and how sure it is.

>>> from dans_lab.prediction import load_run
>>> run = load_run("assets/recorded/umls-complex-dans")
>>> for answer in run.predict(head="alga", relation="isa", top=3): print(answer)  # doctest: +SKIP
"""

from dans_lab.prediction.answers import Filled, fill_relation, fill_tail, new_facts, score
from dans_lab.prediction.calibration import Calibration, calibrate
from dans_lab.prediction.loaded import Answer, LoadedRun, load_run
from dans_lab.worth import Worth, worth

__all__ = [
    "Answer",
    "Calibration",
    "Filled",
    "LoadedRun",
    "Worth",
    "calibrate",
    "fill_relation",
    "fill_tail",
    "load_run",
    "new_facts",
    "score",
    "worth",
]
