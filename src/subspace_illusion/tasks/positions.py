"""Which token a position names: the last one, one by its index, or the last token of a text that stands in the prompt;
or all of that text's tokens, its span.

A text names whole words: "he" is not found inside "the". Where it stands in a prompt several times, ``he[0]`` is the
first of them and ``he[-1]`` the last; ``after:he`` and ``before:he`` are the tokens beside it. A number is an index, or
refused where the prompt has it as a word elsewhere.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.characters import cuts_a_word, looks_like, of_a_word
from subspace_illusion.tasks.quoting import quoted

LAST = "last"
"""The position that is a prompt's last token, wherever that is."""
_INDEX = re.compile(r"\s*[+-]?[0-9]+\s*")
_FRACTION = re.compile(r"[+-]?[0-9]+\.0*")
_NAMED = re.compile(r"(?:(?P<beside>after|before):)?(?P<text>.+?)(?:\[(?P<number>-?[0-9]+)\])?", re.DOTALL)
_SHOWN = 5
"""How many of the places where a text stands are named."""


@dataclass(frozen=True)
class Prompt:
    """A prompt in tokens, and which of its text may be named.

    Attributes:
        side: What messages call it: base or source.
        text: All of it, as it is run.
        start: Where the user's own words begin in it.
        stop: Where they end.
        spans: Tells where each token begins and ends in the text.
        length: How many tokens it has, as it is run.
    """

    side: str
    text: str
    start: int
    stop: int
    spans: Callable[[], Sequence[tuple[int, int]]]
    length: int

    @property
    def own(self) -> str:
        """The user's own words."""
        return self.text[self.start : self.stop]


def token_of(prompt: Prompt, place: object) -> int:
    """The index of the token that a position names: of a text of several tokens, the last.

    Args:
        prompt: The prompt.
        place: The position, as the table gives it.

    Raises:
        InputError: If the prompt has no such token, or several, or one that holds more than what is named.
    """
    return _tokens(prompt, place, first=False)[-1]


def span_of(prompt: Prompt, place: object) -> Sequence[int]:
    """The indices of all tokens that a position names, likewise."""
    return _tokens(prompt, place, first=True)


def _tokens(prompt: Prompt, place: object, first: bool) -> Sequence[int]:
    """The indices of the tokens that a position names; ``first`` says whether the first of several is to hold no more
    than what is named, as the last has to."""
    wanted = str(place)
    if not wanted.strip():
        raise InputError(
            f"the position in the {prompt.side} is blank; give a text that it has, a token index or '{LAST}'"
        )
    if wanted == LAST:
        return [prompt.length - 1]
    if not _INDEX.fullmatch(wanted):
        return _named(prompt, wanted, first)
    index = int(wanted) if int(wanted) >= 0 else prompt.length + int(wanted)
    number = wanted.strip()
    words = _words_called(prompt, number) if isinstance(place, str) and number.isdecimal() else []
    word = quoted(f"{number}[0]")
    if not 0 <= index < prompt.length:
        hint = f"; {word} is the word" if words else ""
        raise InputError(f"the {prompt.side} has no token {wanted}: it has {prompt.length}, numbered from 0{hint}")
    if words and all(index != place.tokens[-1] for place in words):
        raise InputError(
            f"the {prompt.side} has {quoted(number)} as a word, which is not its token {number}: {quoted(prompt.own)}; "
            f"give {word} for the word, or {index - prompt.length} for the token"
        )
    return [index]


def _words_called(prompt: Prompt, number: str) -> list["_Place"]:
    """Where a prompt has a number as a word of its own."""
    try:
        return [place for place in _whole(prompt, number) if place.tokens]
    except InputError:
        return []


def _named(prompt: Prompt, wanted: str, first: bool) -> Sequence[int]:
    """The indices of the tokens that a text names.

    Raises:
        InputError: As ``token_of``.
    """
    named = None if _starts(prompt.own, wanted) else _NAMED.fullmatch(wanted)  # what stands there as it is, comes first
    text = wanted if named is None else named["text"]
    places = [place for place in _whole(prompt, text) if place.tokens]
    if not places:
        raise InputError(f"the {prompt.side} has no token for {quoted(text)}; give a token index")
    number = None if named is None else named["number"]
    if number is None and len(places) > 1:
        indices = [str(place.tokens[-1]) for place in places]
        more = f" and {len(indices) - _SHOWN} more" if len(indices) > _SHOWN else ""
        raise InputError(
            f"the {prompt.side} has {quoted(text)} {len(places)} times, and a position is one place: "
            f"{quoted(prompt.own)}; give a longer text, {quoted(f'{text}[0]')} for the first of them, "
            f"{quoted(f'{text}[-1]')} for the last, or a token index (theirs are {', '.join(indices[:_SHOWN])}{more})"
        )
    try:
        place = places[int(number or 0)]
    except IndexError as error:
        raise InputError(
            f"the {prompt.side} has no {quoted(wanted)}: it has {quoted(text)} {len(places)} times, numbered from 0: "
            f"{quoted(prompt.own)}"
        ) from error
    beside = None if named is None else named["beside"]
    if beside is None:
        _check_no_more(prompt, text, place, place.tokens[-1])
        if first:
            _check_no_more(prompt, text, place, place.tokens[0])
        return place.tokens
    index = place.tokens[-1] + 1 if beside == "after" else place.tokens[0] - 1
    if not 0 <= index < prompt.length:
        raise InputError(f"the {prompt.side} has no token {beside} {quoted(text)}: {quoted(prompt.own)}")
    return [index]


@dataclass(frozen=True)
class _Place:
    """Where a text stands in a prompt as it is run, space around it left out, and the tokens that it is in."""

    start: int
    end: int
    tokens: Sequence[int]

    @classmethod
    def found(cls, prompt: Prompt, start: int, end: int) -> "_Place":
        """That of a text in the user's own words, from where it begins to where it ends there."""
        words = prompt.own[start:end].strip() or prompt.own[start:end]
        first = prompt.start + prompt.own.index(words, start)
        beyond = first + len(words)
        tokens = [i for i, (begins, ends) in enumerate(prompt.spans()) if begins < beyond and ends > first]
        return cls(first, beyond, tokens)


def _starts(text: str, wanted: str) -> dict[int, int]:
    """Where a text has another: where it ends by where it begins. Accents may be written either way (NFC, NFD)."""
    for form in dict.fromkeys([wanted, *(unicodedata.normalize(form, wanted) for form in ("NFC", "NFD"))]):
        if found := {match.start(): match.start() + len(form) for match in re.finditer(f"(?={re.escape(form)})", text)}:
            return found
    return {}


def _whole(prompt: Prompt, wanted: str) -> list[_Place]:
    """Where a prompt has a text as whole words.

    Raises:
        InputError: If nowhere.
    """
    own = prompt.own
    places = _starts(own, wanted)
    if not places:
        alike = _alike(own, wanted)
        hint = "" if alike is None else f" (what it has is {quoted(alike)})"
        hint = (
            f" (the index of a token is a whole number, {wanted.partition('.')[0]})"
            if _FRACTION.fullmatch(wanted)
            else hint
        )
        raise InputError(
            f"the {prompt.side} has no {quoted(wanted)} to take for its position{hint}: {quoted(own)}; give a text "
            f"that it has, a token index or '{LAST}'"
        )
    whole = {start: end for start, end in places.items() if not (cuts_a_word(own, start) or cuts_a_word(own, end))}
    if not whole:
        words = dict.fromkeys(quoted(_words_around(own, *place)) for place in places.items())
        raise InputError(
            f"the {prompt.side} has {quoted(wanted)} inside other words alone ({', '.join(words)}): {quoted(own)}; "
            "give whole words, or a token index"
        )
    return [_Place.found(prompt, *place) for place in whole.items()]


def _alike(text: str, wanted: str) -> str | None:
    """What a text has that a reader takes for another, such as the same in capitals; ``None`` if nothing."""
    sizes = range(max(1, len(wanted) - 2), len(wanted) + 3)
    pieces = (text[start : start + size] for size in sizes for start in range(len(text)))
    return next((piece for piece in pieces if looks_like(piece) == looks_like(wanted)), None)


def _words_around(text: str, start: int, end: int) -> str:
    """The words that a place in a text is part of."""
    while start > 0 and of_a_word(text[start - 1]):
        start -= 1
    while end < len(text) and of_a_word(text[end]):
        end += 1
    return text[start:end]


def _check_no_more(prompt: Prompt, wanted: str, place: _Place, token: int) -> None:
    """Makes sure that a token of a place holds nothing but what is named and space around it.

    Raises:
        InputError: If it holds more: what would be read is not what was named.
    """
    first, beyond = prompt.spans()[token]
    if (prompt.text[first : place.start] + prompt.text[place.end : beyond]).strip():
        side = "ends" if token == place.tokens[-1] else "begins"
        raise InputError(
            f"the {prompt.side} has {quoted(wanted)} in a token that holds more, {quoted(prompt.text[first:beyond])}: "
            f"{quoted(prompt.own)}; give a text that {side} with that token, or its index, {token}"
        )
