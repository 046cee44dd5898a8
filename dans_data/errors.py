"""A person's mistake, told in one sentence."""


class InputError(ValueError):
    """Wrong input from a person: a name, number, file or address.

    The message is one plain sentence that says what is wrong, where, and what would be right. The
    command line prints it and exits with 2; the app shows it. It is never a bug of the program.
    """
