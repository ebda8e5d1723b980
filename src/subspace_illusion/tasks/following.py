"""Whether an answer follows its prompt directly, as far as the texts tell, and where they leave it open."""

import re
import unicodedata
from collections.abc import Sequence

from subspace_illusion.tasks.characters import no_space_after

_CLOSING = tuple(".,;:!?)]}'\N{RIGHT SINGLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}")
"""How an answer begins that no space stands before."""
_ENDS_A_PHRASE = tuple(',;:!?)]}"`%\u00bb\N{RIGHT SINGLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}')
"""How a prompt ends that a space stands behind, whatever follows."""
_REST_OF_A_WORD = re.compile("n['\N{RIGHT SINGLE QUOTATION MARK}]t\\b")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b")
_PAIRED = ('"', "`", "**")
"""Marks that open and close alike: every other one opens."""
_CLOSED_BY = {"\u00ab": "\u00bb", "\u2039": "\u203a", "\u201c": "\u201e", "\u2018": "\u201a"}
"""Quotation marks that open in one language and close in another, by those that open there."""
_BEFORE_A_WORD = re.compile(
    r"(?:[@\\\u00bf\u00a1]|(?<![A-Za-z])#|(?<!\d)[$\u00a2-\u00a5\u20a0-\u20c0]|(?<![\s_])_+|(?:^|\s)_)$"
)
"""Signs that belong to what follows them; several underscores alone are a gap."""
_CLOSED = re.compile(r"(?:^|[\s(])(\*\*|\*|__|_|~~)[^\s*_~](?:[^*_~]*[^\s*_~])?\1$")
"""Words between marks that print them in italics or bold."""
_BOTH_SIDES = r"=\u2192\u2190\u21d2\u2248\u2013\u2014"
_SIGN = rf"+\-*/<>^|&~\u00d7\u00b1\u00f7{_BOTH_SIDES}"
_SIGNS = re.compile(rf"(?P<before>[^\s{_SIGN}]?)(?P<signs>[{_SIGN}]+)$")
"""Signs that stand with a space on either side or on neither."""
_OPERATOR = re.compile(rf"(?:(?:[0-9)\]]|\b[A-Za-z])\s+[{_SIGN}]+|[{_BOTH_SIDES}]+|[-=]>)$")
"""Those that have a space before them and are between two terms, or are never before one alone."""
_NAMES_A_PATH = re.compile(r"(?:~/|</|::)$")
"""What begins a path, closes a tag or names a part: no space ever stands behind it."""
_NAME = r"[A-Za-z_]\w*(?:\.\w+|\([^()]*\)|\[[^\[\]]*\])*\.$"
_ATTRIBUTE = re.compile(rf"(?:^(?=[a-z_])|=\s*|\w[(\[{{]){_NAME}")
_CHAINED = re.compile(rf"[A-Za-z_]\w+(?:\(\)|\[\w+\]|\.\w{{2,}})\.$|(?:^|\n)\s*(?:return|import|from)\s+{_NAME}")
_STATEMENT = re.compile(rf"(?:^|\n)\s*(?:import|from|def|class)\s.*\n\s*{_NAME}", re.DOTALL)
"""A name of a programming language with a dot behind it, where that is plain, and where what follows has no capital."""
_BROKEN_NUMBER = re.compile(
    r"(?:[$\u20ac\u00a3\u00a5]|(?:\b[a-z]+|[=\u2248]) [+-]?)(?P<number>[0-9]{1,3})(?P<mark>[.:])$"
)
"""A number behind a word, and what may stand in the middle of a longer number."""
_NUMBERED = re.compile(
    r"\b(?:page|chapter|section|part|line|row|verse|figure|table|item|step|question|problem|example|exercise|case|task"
    r"|day|week|round|game|number|note|room) [0-9]+.$"
)
"""A number that says which of several."""
_REST_BEHIND_AN_APOSTROPHE = re.compile(r"(?:t|s|d|m|re|ve|ll)\b")


def follows_directly(prompt: str, answers: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether answers follow a prompt with no space between, as far as texts tell.

    They do where the prompt ends in a script without spaces, in a mark that opens, in a sign that belongs to what
    follows it ($) or that has no space before it either (2+2=), in a name of a programming language with its dot, or in
    no whole word: in digits that begin a longer number, and letters that begin a longer word, which the texts have (13
    after 1352; D after Dursley, if the answer is "urs"). Where only some answers begin like the rest of a word or a
    number, ``joined`` sees to each.

    Args:
        prompt: The prompt.
        answers: All answers that are put behind it.
        texts: The pair's prompts.
    """
    if _CLOSED.search(prompt):
        return False
    if no_space_after(prompt[-1:] or " ") or _BEFORE_A_WORD.search(prompt) or _opens(prompt, answers):
        return True
    if all(no_space_after(answer[:1] or " ") for answer in answers) and _is_without_spaces(prompt):
        return True
    if _NAMES_A_PATH.search(prompt):
        return True
    if sign := _SIGNS.search(prompt):
        return bool(sign["before"])
    if prompt.endswith(".") and all(re.match(r"[^\W\d]", answer) for answer in answers):
        small = all(answer[:1].islower() for answer in answers)
        plain = _ATTRIBUTE.search(prompt) or _STATEMENT.search(prompt)
        return bool(plain or (small and _CHAINED.search(prompt)))
    if re.search("[A-Za-z]['\N{RIGHT SINGLE QUOTATION MARK}]$", prompt):
        return all(_REST_BEHIND_AN_APOSTROPHE.match(answer) for answer in answers)
    if all(re.match(r"[0-9]", answer) for answer in answers):
        return _goes_on_in_digits(prompt, answers, texts)
    if word := re.search(r"[^\W\d_]+$", prompt):
        pieces = [answer for answer in answers if re.match(r"[^\W\d_]", answer)]
        return any(re.search(rf"(?<!\w){word[0]}{re.escape(piece)}", text) for piece in pieces for text in texts)
    return False


def _is_without_spaces(prompt: str) -> bool:
    """Whether a prompt is of a script that puts no spaces between words, but for some words."""
    return sum(map(no_space_after, prompt)) > len(re.findall(r"[A-Za-z0-9]+", prompt))


def _goes_on_in_digits(prompt: str, answers: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether digits follow a prompt directly."""
    if number := re.search(r"[0-9]+$", prompt):
        longer = "|".join(f"{number[0]}[0-9]{{{len(answer.strip())}}}" for answer in answers)
        begins = any(re.search(rf"(?<![0-9])(?:{longer})(?![0-9])", text) for text in texts)
        listed = re.search(r"[0-9]\s+[0-9]+$", prompt)
        return not listed and (begins or not re.search(r"[0-9]\s+[0-9]", prompt))
    mark = prompt[-1:]
    if re.search(r"[0-9][.:,]$", prompt):
        spaced = any(re.search(rf"[0-9]{re.escape(mark)}\s", text) for text in texts)
        tight = any(re.search(rf"[0-9]{re.escape(mark)}[0-9]", text) for text in texts)
        return not spaced and (tight or _is_broken(prompt, answers))
    return False


def _is_broken(prompt: str, answers: Sequence[str]) -> bool:
    """Whether a prompt ends in the middle of a decimal number or of a time of day; not behind a word that it numbers,
    such as Example or page."""
    found = _BROKEN_NUMBER.search(prompt)
    minutes = all(re.match(r"[0-5][0-9](?![0-9])", answer) for answer in answers)
    if found is None or _NUMBERED.search(prompt):
        return False
    return found["mark"] == "." or (int(found["number"]) <= 24 and minutes)


def _opens(prompt: str, answers: Sequence[str]) -> bool:
    """Whether a prompt ends in a mark that opens: a bracket or a quotation mark, of those that close alike every other
    one."""
    end = prompt[-1:]
    if other := _CLOSED_BY.get(end):
        closes = -1 < prompt.find(other) < prompt.find(end) and prompt.count(other) >= prompt.count(end)
        return not closes
    if end in _CLOSED_BY.values():
        return unicodedata.category(end) == "Ps" or (not prompt[-2:-1].strip() and _is_first(prompt, end))
    if unicodedata.category(end or " ") in ("Ps", "Pi"):
        return True
    if end == "'":
        quoting = re.findall(r"(?<!\w)'|'(?!\w)", prompt)  # and no apostrophe
        return len(quoting) % 2 == 1 and bool(re.search(r"(?:^|[\s(\[{=:,])'$", prompt))
    if prompt.endswith("**") and re.search(r"(?:[0-9)]|\b[A-Za-z])\s?\*\*$", prompt):  # a power
        return not any(answer[:1].isdigit() for answer in answers) and prompt.count("**") % 2 == 1
    return any(prompt.endswith(mark) and prompt.count(mark) % 2 for mark in _PAIRED)


def _is_first(prompt: str, mark: str) -> bool:
    """Whether a quotation mark has none before it that it could close."""
    return not any(other in prompt for other, one in _CLOSED_BY.items() if one == mark)


def joined(prompt: str, answer: str, direct: bool) -> str:
    """A prompt and an answer, with a space between them where words need one and none stands there already."""
    return prompt + ("" if direct or _needs_none(prompt, answer) else " ") + answer


def _needs_none(prompt: str, answer: str) -> bool:
    """Whether no space stands before an answer, whatever the others are: it begins with one or closes something."""
    if prompt[-1:].isspace() or answer[:1].isspace() or answer.startswith(_CLOSING):
        return True
    closes = any(answer.startswith(mark) and prompt.count(mark) % 2 for mark in _PAIRED)
    negates = _REST_OF_A_WORD.match(answer) and prompt[-1:].isalpha()
    share = answer[:1] in ("%", "\u00b0") and not re.search(rf"[0-9]\s{answer[:1]}", prompt)
    of_a_number = prompt[-1:].isdigit() and (share or _ORDINAL.match(answer))
    return bool(closes or negates or of_a_number or _opens(prompt, [answer]))


def is_doubtful(prompt: str, answers: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether answers may follow a prompt directly that ``follows_directly`` puts a space before: behind a sign, or a
    dot in what may be a number or a name, or before a script without spaces.

    Args:
        prompt: The prompt.
        answers: Those of its answers that a space is put before.
        texts: The pair's prompts.
    """
    if not answers:
        return False
    if any(no_space_after(answer[:1] or " ") for answer in answers):
        return True
    if re.search(r"[0-9][.:,]$", prompt):
        return any(answer[:1].isdigit() for answer in answers)
    if prompt.endswith("."):
        return any(answer[:1].islower() for answer in answers)
    if _CLOSED.search(prompt):
        return False
    if _SIGNS.search(prompt):
        return not _OPERATOR.search(prompt)
    if prompt[-1:].isdigit():
        return any(unicodedata.category(answer[:1])[0] == "S" for answer in answers)
    return prompt[-1:] not in _ENDS_A_PHRASE and unicodedata.category(prompt[-1:] or " ")[0] in "PS"
