"""How messages name rows of a table, and show texts."""


def at(name: str, *index: int) -> str:
    """How messages name a row of a table, or several, by their index."""
    numbers = [str(number + 1) for number in index]
    return f"{name}, row {numbers[0]}" if len(numbers) == 1 else f"{name}, rows {' and '.join(numbers)}"


def quoted(text: object) -> str:
    """The beginning of a text, on one line and in quotes."""
    shown = str(text)
    return repr(shown if len(shown) <= 60 else shown[:57] + "...")
