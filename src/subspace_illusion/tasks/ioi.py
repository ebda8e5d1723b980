"""IOI prompts and pairs (E1): which of the two names is named twice?

A case is one filled template with four names: A and B, and C and D unrelated to them. It gives four prompts, two with
each pair of names: ABB and CDD (S named second), BAB and DCD (S named first). IO is A (C), S is B (D).
Train and test share no template, name, object or place.
"""

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd
import torch

from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_lines, read_yaml
from subspace_illusion.tasks.cases import check_sentences, check_templates, dealt
from subspace_illusion.tasks.table import DIFFERENT, DIFFERENT_UNRELATED, NO_ANSWER, SAME, SPLITS

SLOTS = ("first", "second", "subject", "place", "object")
VALUES = {"ABB": "S second", "CDD": "S second", "BAB": "S first", "DCD": "S first"}
"""What the variable is in each pattern: the place of the name that comes twice."""

_SOURCES = {
    "ABB": {DIFFERENT: "BAB", DIFFERENT_UNRELATED: "DCD", SAME: "CDD"},
    "BAB": {DIFFERENT: "ABB", DIFFERENT_UNRELATED: "CDD", SAME: "DCD"},
}


@dataclass(frozen=True)
class Words:
    """The words that fill the slots, one list a kind, each word once."""

    names: Sequence[str]
    places: Sequence[str]
    objects: Sequence[str]


def read_ioi(folder: Path) -> tuple[Words, dict[str, list[str]]]:
    """The words and the templates by split of a folder with a text file for each kind of word and ``templates.yaml``.

    Raises:
        InputError: If a file cannot be read or does not hold that.
    """
    words = Words(**{field.name: read_lines(folder / f"{field.name}.txt") for field in fields(Words)})
    templates = folder / "templates.yaml"
    return words, check_templates(read_yaml(templates), str(templates))


def single_token_words(words: Words, word_id: Callable[[str], int | None]) -> tuple[Words, dict[str, list[str]]]:
    """The words that are one token under a tokenizer, and by kind those that are not.

    Args:
        words: The words.
        word_id: Token id of a word with a space before it, ``None`` where it is not one token.
    """
    kept, dropped = {}, {}
    for kind, listed in vars(words).items():
        kept[kind] = [word for word in dict.fromkeys(listed) if word_id(word) is not None]
        dropped[kind] = [word for word in dict.fromkeys(listed) if word_id(word) is None]
    return Words(**kept), dropped


def check_template(template: str) -> None:
    """Makes sure that a template has every slot once, each after a space, and ends in a word.

    Raises:
        InputError: If not.
    """
    try:
        slots = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise InputError(f"template '{template}': {error}") from error
    if sorted(slots) != sorted(SLOTS):
        wrong = [slot for slot in SLOTS if slots.count(slot) != 1] + [slot for slot in slots if slot not in SLOTS]
        raise InputError(
            f"template '{template}': the slots {', '.join(f'{{{s}}}' for s in SLOTS)} must each come once; "
            f"look at {', '.join(f'{{{s}}}' for s in wrong)}"
        )
    for slot in SLOTS:
        if f" {{{slot}}}" not in template:
            raise InputError(f"template '{template}': {{{slot}}} must follow a space, so that its word is one token")
    if template.endswith(("}", " ")):
        raise InputError(f"template '{template}': it must end in a word, where the model predicts the name")


def make_prompts(
    templates: Mapping[str, Sequence[str]],
    words: Words,
    cases: Mapping[str, int],
    test_share: float,
    seed: int,
    encode: Callable[[str], list[int]],
    word_id: Callable[[str], int | None],
) -> pd.DataFrame:
    """The table of prompts, one row a prompt, four prompts a case.

    Args:
        templates: Templates by split.
        words: Words that are each one token.
        cases: Number of cases by split.
        test_share: Share of the words of each kind that only the test split uses.
        seed: Seed of the split of the words and of the filling.
        encode: Token ids of a text.
        word_id: Token id of a word with a space before it.

    Returns:
        Columns as in ``tasks.table``, the case as ``group``, and ``pattern``, ``io``, ``s``, ``io_id``, ``s_id``,
        ``place``, ``object``.

    Raises:
        InputError: If a template is wrong, in both splits, or no template is left; if there are too few words; if
            prompts of one template differ in length.
    """
    check_sentences(templates, check_template)
    which = " that are one token for this tokenizer"
    of_kind = {
        kind: dealt(sorted(listed), kind, 4 if kind == "names" else 1, test_share, seed, which)
        for kind, listed in vars(words).items()
    }
    rows: list[dict] = []
    for split in SPLITS:
        rng = numpy_generator(seed, "fill", split)
        for number in range(cases[split]):
            # Templates take turns, so that each has its share.
            place_in_list = number % len(templates[split])
            a, b, c, d = rng.choice(of_kind["names"][split], 4, replace=False).tolist()
            place, thing = (str(rng.choice(of_kind[kind][split])) for kind in ("places", "objects"))
            for pattern, (first, second, subject, io) in dict(
                ABB=(a, b, b, a), BAB=(b, a, b, a), CDD=(c, d, d, c), DCD=(d, c, d, c)
            ).items():
                text = templates[split][place_in_list].format(
                    first=first, second=second, subject=subject, place=place, object=thing
                )
                tokens = encode(text)
                rows.append(
                    dict(
                        prompt=len(rows),
                        group=f"{split}-{number}",
                        split=split,
                        template=place_in_list,
                        pattern=pattern,
                        value=VALUES[pattern],
                        text=text,
                        tokens=tokens,
                        end=len(tokens) - 1,
                        position=len(tokens) - 1,
                        io=io,
                        s=subject,
                        io_id=word_id(io),
                        s_id=word_id(subject),
                        place=place,
                        object=thing,
                    )
                )
    prompts = pd.DataFrame(rows)
    lengths = prompts.groupby(["split", "template"])["end"].nunique()
    if (lengths > 1).any():
        split, template = lengths.idxmax()
        raise InputError(
            f"template '{templates[split][template]}' gives prompts of different lengths under this tokenizer, "
            "though every word alone is one token; reword it"
        )
    return prompts


def make_pairs(prompts: pd.DataFrame) -> pd.DataFrame:
    """The table of pairs: each ABB and BAB prompt as base with a source of each kind.

    Returns:
        Columns as in ``tasks.table``. The target is S where the source has S at the opposite position, IO where at the
        same.
    """
    rows: list[dict] = []
    for case, of_case in prompts.groupby("group", sort=False):
        by_pattern = of_case.set_index("pattern")
        for base, sources in _SOURCES.items():
            for kind, source in sources.items():
                row = by_pattern.loc[base]
                rows.append(
                    dict(
                        pair=len(rows),
                        group=case,
                        split=row["split"],
                        kind=kind,
                        template=row["template"],
                        base=row["prompt"],
                        source=by_pattern.loc[source, "prompt"],
                        base_value=VALUES[base],
                        source_value=VALUES[source],
                        answer_id=row["io_id"],
                        foil_id=row["s_id"],
                        target_id=row["io_id"] if kind == SAME else row["s_id"],
                        source_id=row["io_id"] if kind == DIFFERENT else NO_ANSWER,
                    )
                )
    return pd.DataFrame(rows)


def has_names(prompts: pd.DataFrame) -> bool:
    """Whether prompts have the two names that ``name_positions`` looks for."""
    return "io_id" in prompts


def name_positions(prompts: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of the first and of the second name in each prompt, each ``[n]``."""
    first, second = [], []
    for tokens, *names in zip(prompts["tokens"], prompts["io_id"], prompts["s_id"], strict=True):
        places = sorted(list(tokens).index(name) for name in names)
        first.append(places[0])
        second.append(places[1])
    return torch.tensor(first), torch.tensor(second)
