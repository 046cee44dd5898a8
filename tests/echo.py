"""The other side of a `HelperProcess` in tests: gives back what it gets, or fails as it is told."""

import os
import time

import numpy as np

from dans_app.server import helper as aside
from dans_data.errors import InputError


def answer(request: aside.Arrays) -> aside.Arrays:
    match str(request.get("do", "")):
        case "mistake":
            raise InputError("no such thing")
        case "fail":
            raise ValueError("three points are too few")
        case "die":
            os._exit(3)
        case "wait":
            time.sleep(float(request["seconds"]))
        case "print":
            print("a library says hello")
    return {**request, "pid": np.array(os.getpid())}


if __name__ == "__main__":
    aside.serve(answer, courtesy=3)
