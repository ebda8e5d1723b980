"""The one error that a user of the library is meant to read."""


class InputError(ValueError):
    """A parameter, a file or a tensor is wrong; the message names it, says why, and what to do."""
