"""Prose in short paragraphs."""

import re

MOST_WORDS = 60
"""Of a paragraph; what is longer is read by nobody."""
_END_OF_SENTENCE = re.compile(r"(?<=[.?!:])(?<!al\.)(?<!s\.d\.)\s+(?=[A-Z\"(])")


def paragraphs(text: str) -> list[str]:
    """Some prose in paragraphs of ``MOST_WORDS`` at most, broken where a sentence ends, as evenly as that goes.

    A sentence that is longer stays in one piece.
    """
    sentences = [sentence for sentence in _END_OF_SENTENCE.split(" ".join(text.split())) if sentence]
    total = sum(len(sentence.split()) for sentence in sentences)
    share = total / max(1, -(-total // MOST_WORDS))
    broken: list[list[str]] = []
    length = 0
    for sentence in sentences:
        words = len(sentence.split())
        if not broken or length + words > MOST_WORDS or length + words / 2 > share:
            broken.append([])
            length = 0
        broken[-1].append(sentence)
        length += words
    return [" ".join(each) for each in broken]
