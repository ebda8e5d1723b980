"""Where words begin and end in a text, in whatever script it is written."""

import unicodedata

_NO_SPACES = ("CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "KATAKANA", "BOPOMOFO ", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
"""How the names begin of the characters of scripts that put no spaces between words."""


def no_space_after(character: str) -> bool:
    """Whether a character is of a script that puts no spaces between words, its punctuation among it."""
    wide = unicodedata.east_asian_width(character) in "WF" and unicodedata.category(character).startswith("P")
    return wide or unicodedata.name(character, "").startswith(_NO_SPACES)


def of_a_word(character: str) -> bool:
    """Whether a character is part of a word or a number: a letter, a digit, an underscore, or a mark on one of them."""
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")


def cuts_a_word(text: str, place: int) -> bool:
    """Whether the place before the character of this index lies inside a word, or inside a character with its marks."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if unicodedata.category(after).startswith("M"):
        return True
    return of_a_word(before) and of_a_word(after) and not (no_space_after(before) or no_space_after(after))


def written_alike(text: str) -> str:
    """A text in the one form that it has whichever way its accents are written (NFC)."""
    return unicodedata.normalize("NFC", text)


def looks_like(text: str) -> str:
    """What a text has in common with those that a reader takes for it: capitals, widths, kinds of spaces and quotation
    marks are told apart no more."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return plain.translate({ord(mark): "'" for mark in "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"})
