"""Where an answer and its foil part, put behind their prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, Protocol

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answer_sets import Answers, texts_of
from subspace_illusion.tasks.following import follows_directly, is_doubtful, joined
from subspace_illusion.tasks.quoting import quoted

Join = Literal["auto", "direct", "space"]
"""How an answer follows its prompt: directly, after a space, or as the texts tell."""
JOINED = DIRECT, SPACE = "direct", "space"


class TextTokenizer(Protocol):
    """What is asked of a tokenizer."""

    def encode(self, text: str, /) -> list[int]:
        """Token ids of a text, with whatever special tokens are put before it."""

    def spans(self, text: str, /) -> list[tuple[int, int]]:
        """Where each token of ``encode(text)`` begins and ends in the text; (0, 0) for a special token."""


@dataclass(frozen=True)
class Ends:
    """Where answer and foil part.

    Attributes:
        shared: The tokens that both begin with.
        shared_text: Their text, as far as it is whole characters.
        answers: The answer's first token after these; of several answers all, each once.
        foils: The foil's.
        direct: Whether the answer follows its prompt directly where a word would have a space before it.
        in_a_character: Whether they part in the middle of a character.
        doubtful: Whether a space stands before some where it is open whether one should.
    """

    shared: tuple[int, ...]
    shared_text: str
    answers: tuple[int, ...]
    foils: tuple[int, ...]
    direct: bool
    in_a_character: bool
    doubtful: bool = False


def tell_apart(
    prompt: str, answer: Answers, foil: Answers, join: Join, texts: Sequence[str], tokenizer: TextTokenizer
) -> Ends:
    """Where answer and foil part, each put behind a prompt. Where there are several a side, they part where not all of
    them go on alike.

    Args:
        prompt: The prompt as it is run.
        answer: The answer, or several.
        foil: The foil, or several.
        join: How they follow it.
        texts: The pair's prompts, which tell by the words that they have.
        tokenizer: The model's.

    Raises:
        InputError: If one of the two is a beginning of the other, or merges with the prompt; if an answer and a foil of
            several go on with the same token where others do not.
    """
    sides = texts_of(answer), texts_of(foil)
    both = [*sides[0], *sides[1]]
    direct = join == DIRECT or (join == "auto" and follows_directly(prompt, both, texts))
    answers, foils = ([(text, _continuation(prompt, text, direct, tokenizer)) for text in side] for side in sides)
    behind = [ids for _, ids in [*answers, *foils]]
    alike = takewhile(lambda ids: len({*ids}) == 1, zip(*behind, strict=False))
    n = len(tuple(alike))
    for one, ids in answers:
        for other, others in foils:
            _check_apart(one, other, ids[n:], others[n:])
    whole, start = joined(prompt, sides[0][0], direct), len(tokenizer.encode(prompt))
    spans = tokenizer.spans(whole)[start:] if n else []
    in_a_character = n > 0 and spans[n][0] < spans[n - 1][1]
    beyond = spans[n][0] if in_a_character else spans[n - 1][1] if n else len(prompt)
    told = whole != joined(prompt, sides[0][0], direct=False)
    of_answer, of_foil = (tuple(dict.fromkeys(ids[n] for _, ids in side)) for side in (answers, foils))
    apart = [text for text in both if joined(prompt, text, direct) == f"{prompt} {text}"]
    doubtful = join == "auto" and is_doubtful(prompt, apart, texts)
    return Ends(tuple(behind[0][:n]), whole[len(prompt) : beyond], of_answer, of_foil, told, in_a_character, doubtful)


def _check_apart(answer: str, foil: str, behind_answer: Sequence[int], behind_foil: Sequence[int]) -> None:
    """Makes sure that an answer and a foil part at END.

    Args:
        answer: The answer.
        foil: The foil.
        behind_answer: The answer's tokens behind END.
        behind_foil: The foil's.

    Raises:
        InputError: If they do not.
    """
    if not behind_answer and not behind_foil:
        raise InputError(f"answer {quoted(answer)} and foil {quoted(foil)} are the same tokens; change one of them")
    if not behind_answer or not behind_foil:
        short, long = (foil, answer) if behind_answer else (answer, foil)
        raise InputError(
            f"{quoted(short)} is, in tokens, a beginning of {quoted(long)}, and no token tells them apart; "
            "change one of them, or end both with what would follow (such as a full stop)"
        )
    if behind_answer[0] == behind_foil[0]:
        raise InputError(
            f"the answer {quoted(answer)} and the foil {quoted(foil)} go on with the same token, which cannot stand on "
            "both sides; leave one of them out"
        )


def _continuation(prompt: str, answer: str, direct: bool, tokenizer: TextTokenizer) -> list[int]:
    """The tokens that an answer adds to its prompt.

    Raises:
        InputError: If it adds none, or changes the prompt's own.
    """
    text = joined(prompt, answer, direct)
    before, whole = tokenizer.encode(prompt), tokenizer.encode(text)
    if whole[: len(before)] != before:
        remedy = "remove a trailing space from the prompt, or end it in a whole word"
        if not prompt[-1:].isspace():
            first = next(i for i, (a, b) in enumerate(zip(whole, before, strict=False)) if a != b)
            merged = slice(*tokenizer.spans(text)[first])
            remedy = f"{quoted(text[merged])} is one token across the two; end the prompt before it, or set join"
        raise InputError(
            f"the answer {quoted(answer)} merges with the last token of the prompt {quoted(prompt)}; {remedy}"
        )
    if len(whole) == len(before):
        raise InputError(f"the answer {quoted(answer)} is no token; give one that is")
    return whole[len(before) :]
