"""The right answers of a prompt: a text, or a tuple of several texts of which each is right (is, was)."""

from subspace_illusion.tasks.characters import written_alike

Answers = str | tuple[str, ...]


def texts_of(answers: Answers) -> tuple[str, ...]:
    """Every right answer."""
    return answers if isinstance(answers, tuple) else (answers,)


def common(answers: Answers, others: Answers) -> str | None:
    """The first of some answers that others have too, but for the space before it and the way in which accents are
    written; ``None`` where they have none of them."""
    known = {plain(text) for text in texts_of(others)}
    return next((text for text in texts_of(answers) if plain(text) in known), None)


def within(answers: Answers, others: Answers) -> bool:
    """Whether others have all of some answers, likewise."""
    return {plain(text) for text in texts_of(answers)} <= {plain(text) for text in texts_of(others)}


def spelled(answers: Answers) -> str:
    """What a value is called whose right answers these are, in whatever order they are listed."""
    return " or ".join(sorted(plain(text) for text in texts_of(answers)))


def plain(text: str) -> str:
    """What an answer has in common with those that are the same; white space alone is told apart."""
    return written_alike(text.strip() or text)
