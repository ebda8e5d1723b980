"""What tests ask of a page of HTML: its paragraphs, and whether their numbers stand in its tables."""

import re
from html.parser import HTMLParser

MOST_WORDS = 60
_PROSE, _TABLES = ("p", "li", "summary", "h1", "h2", "h3"), ("td", "th", "pre")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-\d+)?(?:\s?%)?(?![\w]|\.\d)")
_NO_FIGURES = re.compile(r"arXiv \d+\.\d+|\b[EC]\d+\b|\btable \d\b|95 %|blocks\.\d+\.[\w.]+|\b0 to 1\b|\b[a-z]+\d+\b")
"""What has digits and is no figure of a run: sources, names of experiments and components, the level of intervals."""


class _Texts(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.prose: list[str] = []
        self.cells: list[str] = []
        self._open: list[list[str] | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        into = self.prose if tag in _PROSE else self.cells if tag in _TABLES else None
        if into is not None:
            into.append("")
            self._open.append(into)

    def handle_endtag(self, tag: str) -> None:
        if tag in (*_PROSE, *_TABLES) and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] is not None:
            self._open[-1][-1] += data


def long_paragraphs(page: str) -> list[str]:
    """The paragraphs of more than ``MOST_WORDS`` words."""
    return [text for text in _Texts(page).prose if len(text.split()) > MOST_WORDS]


def numbers_without_a_table(page: str) -> list[tuple[str, str]]:
    """The numbers that sentences say and no table has, rounded as the sentence does, each with its paragraph."""
    texts = _Texts(page)
    there = [_value(number) for cell in texts.cells for number in _NUMBER.findall(cell)]
    missing = []
    for text in texts.prose:
        for number in _NUMBER.findall(_NO_FIGURES.sub(" ", text)):
            value, half = _value(number)
            if not any(abs(value - other) <= half + 1e-9 for other, _ in there):
                missing.append((number, text))
    return missing


def _value(number: str) -> tuple[float, float]:
    """A number, and half of what its last digit is worth."""
    plain = number
    is_share = plain.endswith("%")
    plain = plain.rstrip("% ")
    mantissa, _, exponent = plain.partition("e")
    worth = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    scale = 0.01 if is_share else 1.0
    return float(plain) * scale, worth * scale / 2
