"""E1: the prompts and pairs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from subspace_illusion.core.outcome import NONE
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Section
from subspace_illusion.report.words import place, variable_of
from subspace_illusion.tasks.as_read import FirstRow
from subspace_illusion.tasks.table import DIFFERENT, IOI, PAIR_KINDS, SPLITS, chosen, values_of

MOST_EXAMPLES = 6
"""Values of which an example is shown."""
_SPLITS = dict(zip(SPLITS, ("training", "held out"), strict=True))


def section(results: Results) -> Iterator[Section]:
    """How many prompts and pairs there are, how many the model gets wrong, and examples."""
    prompts, pairs = results.prompts, results.pairs
    train, test = (prompts[prompts["split"] == split] for split in SPLITS)
    yield Section(
        "E1  Prompts",
        f"Which pairs of prompts, that differ in {variable_of(results.task)} alone, and does the model get them right?",
        _right(pairs),
        f"{_apart(results.task)} {_examples(results)}",
        grids=[
            Grid(["prompts, training", "held out"], [[str(len(train)), str(len(test))]]),
            _counts(pairs),
            _patterns(test) if results.task == IOI else _by_value(results),
        ],
    )


def read_row(results: Results) -> FirstRow | None:
    """The first held-out pair in tokens; ``None`` without a tokenizer."""
    pairs = chosen(results.pairs, "test", DIFFERENT)
    if results.spell is None or pairs.empty:
        return None
    pair = pairs.iloc[0]
    base = results.prompts.set_index("prompt").loc[pair["base"]]
    answer, foil = (_each(pair[name], results.spell) for name in ("answer_id", "foil_id"))
    return FirstRow([results.spell([int(token)]) for token in base["tokens"]], int(base["position"]), answer, foil)


def _apart(task: str) -> str:
    return f"Train and test share no {'template, name, object or place' if task == IOI else 'prompt'}."


def _right(pairs: pd.DataFrame) -> str:
    """How many pairs the model gets wrong without a patch, and what became of them."""
    wrong = pairs[~pairs["right"]]
    if wrong.empty:
        return f"The model gets all {len(pairs)} pairs right: base and source are likelier to give their own answer."
    became = "kept all the same" if wrong["kept"].all() else "counted and left out"
    return (
        f"Of {len(pairs)} pairs the model gets {len(wrong)} wrong, where base or source is not likelier to give its "
        f"own answer; they are {became}."
    )


def _examples(results: Results) -> str:
    """What the examples show."""
    if results.task == IOI:
        return "One held-out prompt of each pattern; the answer is IO."
    values, brackets = len(values_of(results.pairs)), "" if results.spell is None else ", in brackets the token"
    which = "of each value" if values <= MOST_EXAMPLES else f"of {MOST_EXAMPLES} of the {values} values"
    return (
        f"One held-out prompt {which}{brackets}{' at which components are read and patched' if brackets else ''} "
        f"({place(results.at_end)})."
    )


def _counts(pairs: pd.DataFrame) -> Grid:
    """Pairs by kind and split: how many, how many the model gets wrong, how many are kept."""
    rows = []
    for kind in PAIR_KINDS:
        for split, words in _SPLITS.items():
            of_both = chosen(pairs, split, kind)
            if len(of_both):
                counts = (len(of_both), (~of_both["right"]).sum(), of_both["kept"].sum())
                rows.append([kind, words, *map(str, counts)])
    rows.append(["all", "", str(len(pairs)), str((~pairs["right"]).sum()), str(pairs["kept"].sum())])
    return Grid(["source", "split", "pairs", "the model gets wrong", "kept"], rows)


def _patterns(test: pd.DataFrame) -> Grid:
    """One held-out prompt of each of IOI's patterns."""
    return Grid.of(test.drop_duplicates("pattern"), dict(pattern="pattern", text="prompt", io="IO", s="S"))


def _by_value(results: Results) -> Grid:
    """A few held-out prompts, each the base of a pair and of another value, with answer and foil."""
    pairs = chosen(results.pairs, "test", DIFFERENT).drop_duplicates("base_value")[:MOST_EXAMPLES]
    prompts, rows = results.prompts.set_index("prompt"), []
    for pair in pairs.to_dict("records"):
        prompt = prompts.loc[pair["base"]]
        row = [str(pair["base_value"]), prompt["text"]]
        if results.spell is not None:
            row[1] = marked(list(prompt["tokens"]), int(prompt["position"]), results.spell) or prompt["text"]
            row += [" or ".join(map(str.strip, _each(pair[name], results.spell))) for name in ("answer_id", "foil_id")]
        rows.append(row)
    header = ["value", "prompt", *(["answer", "foil"] if results.spell is not None else [])]
    return Grid(header, sorted(rows))


def _each(ids: Any, spell: Callable[[Sequence[int]], str]) -> list[str]:
    """The texts of the right answers of a side."""
    return [spell([token]) for token in np.atleast_1d(ids).tolist() if token != NONE]


def marked(tokens: Sequence[int], position: int, spell: Callable[[Sequence[int]], str]) -> str | None:
    """The text of a prompt with brackets around one token; ``None`` where the token has no plain place in the text.

    Args:
        tokens: Its token ids.
        position: Index of the token.
        spell: The text of some token ids.
    """
    before, through, whole = (spell(tokens[:end]) for end in (position, position + 1, len(tokens)))
    if not (through.startswith(before) and whole.startswith(through)):
        return None
    token = through[len(before) :]
    space = token[: len(token) - len(token.lstrip())]
    return f"{before}{space}[{token.lstrip()}]{whole[len(through) :]}"
