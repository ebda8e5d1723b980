"""Every task's prompts and pairs (E1), for a model's own tokenizer."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.tasks.agreement import make_agreement, read_lexicon
from subspace_illusion.tasks.facts import make_facts, read_facts
from subspace_illusion.tasks.ioi import make_pairs, make_prompts, read_ioi, single_token_words
from subspace_illusion.tasks.pairs_file import RawPairs
from subspace_illusion.tasks.positions import LAST
from subspace_illusion.tasks.pronoun import make_pronoun, read_pronoun
from subspace_illusion.tasks.reading import PairsReading
from subspace_illusion.tasks.rows import read_rows
from subspace_illusion.tasks.table import AGREEMENT, FACTS, IOI, PRONOUN
from subspace_illusion.tasks.tokenise import Tokenised, tokenise

AS_IT_IS = PairsReading()
"""A table of pairs that says all of itself."""


def make_task(
    name: str,
    path: Path,
    tokenizer: Tokenizer,
    cases: Mapping[str, int],
    test_share: float,
    seed: int,
    *,
    reading: PairsReading = AS_IT_IS,
    say: Callable[[str], object] = lambda line: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The prompts and pairs of a task, columns as in ``tasks.table``.

    Args:
        name: ``ioi``, ``agreement``, ``facts`` or ``pronoun``, from the words and sentences in a folder; ``pairs``, a
            table of the user's.
        path: The folder, or the file.
        tokenizer: The model's; before pairs of the user's it puts what ``reading`` says.
        cases: How many by split, for the tasks that are made here.
        test_share: Share of words, or of groups of the user's pairs, that is kept for the test split.
        seed: Seed of the draws.
        reading: How a table of the user's is read and put to the model.
        say: Told what is left out, what a table is taken for, and what else the words and the table do not say.

    Raises:
        InputError: If the words, sentences or pairs will not do.
    """
    if name == IOI:
        words, templates = read_ioi(path)
        kept, dropped = single_token_words(words, tokenizer.word_id)
        for kind, left_out in dropped.items():
            say(f"{kind}: {len(left_out)} are not one token and left out {' '.join(left_out[:10])}".rstrip())
        prompts = make_prompts(templates, kept, cases, test_share, seed, tokenizer.encode, tokenizer.word_id)
        for tokens in prompts["tokens"]:
            tokenizer.check("a prompt", tokens)
        return prompts, make_pairs(prompts)
    if name == AGREEMENT:
        raw = make_agreement(read_lexicon(path), cases, test_share, seed, tokenizer.word_id)
    elif name == FACTS:
        raw = make_facts(*read_facts(path), cases, test_share, seed)
    elif name == PRONOUN:
        raw = make_pronoun(read_pronoun(path), cases, test_share, seed, tokenizer.word_id)
    else:
        own = RawPairs.read(read_rows(path), str(path), reading)
        for line in own.said:
            say(line)
        return _said(own.tokenised(replace(tokenizer, bos=reading.bos), test_share, seed), say)
    found = tokenise(  # the table has columns for both positions
        raw, tokenizer, position=LAST, source_position=LAST, test_share=test_share, seed=seed, name=str(path)
    )
    return _said(found, say)


def _said(found: Tokenised, say: Callable[[str], object]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables, when everybody knows what they do not say."""
    for note in found.notes:
        say(note)
    return found.prompts, found.pairs
