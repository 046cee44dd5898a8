"""A person's mistake, told in one sentence."""

import re

_LONG_WORD = re.compile(r"\S{260,}")
_LONGEST = 1500


class InputError(ValueError):
    """Wrong input from a person: a name, number, file or address.

    The message is one plain sentence that says what is wrong, where, and what would be right. The
    command line prints it and exits with 2; the app shows it. It is never a bug of the program.
    What it quotes may be of any length, so its middle is left out where it is too long to be read.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_short(_LONG_WORD.sub(lambda word: _short(word[0], 160), message), _LONGEST))


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length * 3 // 4]} … {text[-length // 4 :]}"
