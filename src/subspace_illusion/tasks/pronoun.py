"""Pairs of the pronoun task: does a sentence about someone go on with "she" or with "he"?

A case is one filled template ("Yesterday Mary left the meeting early because" -> she) with a name of each pronoun, and
an unrelated one with other names and another event. Train and test share no template, name or event.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_yaml
from subspace_illusion.tasks.cases import Filled, check_sentences, check_templates, dealt, four_pairs
from subspace_illusion.tasks.table import SPLITS

SLOTS = ("name", "event")
LEAST = 2
"""Names of a pronoun, and events, that a split cannot do without: those of a case, which are all different."""


@dataclass(frozen=True)
class Words:
    """The words and sentences of the task."""

    names: Mapping[str, Sequence[str]]
    """By pronoun, of which there are two."""
    events: Sequence[str]
    templates: Mapping[str, Sequence[str]]
    """By split."""


def read_pronoun(folder: Path) -> Words:
    """The words and sentences of a folder with ``words.yaml`` and ``templates.yaml``.

    Raises:
        InputError: If a file cannot be read or does not hold what it must.
    """
    path = folder / "words.yaml"
    words = read_yaml(path)
    if not isinstance(words, dict) or set(words) != {"names", "events"}:
        raise InputError(f"{path} must hold names and events and nothing else")
    names, events = words["names"], words["events"]
    if not isinstance(names, dict) or len(names) != 2:
        raise InputError(f"{path}: names must be two lists, each under its pronoun")
    for listed, name in ((events, "events"), *((listed, f"names of '{pronoun}'") for pronoun, listed in names.items())):
        if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
            raise InputError(f"{path}: {name} must be a list of words; put quotes around what YAML takes for no text")
    path = folder / "templates.yaml"
    return Words(names, events, check_templates(read_yaml(path), str(path)))


def make_pronoun(
    words: Words, cases: Mapping[str, int], test_share: float, seed: int, word_id: Callable[[str], int | None]
) -> pd.DataFrame:
    """The raw table of pairs, four rows a case: each pronoun as base, with a source that differs in the name alone and
    calls for the other pronoun, and with one that calls for the same and has another name and another event.

    Args:
        words: Names, events and templates. Names that are not one token are left out.
        cases: Number of cases by split.
        test_share: Share of the names and of the events that only the test split uses.
        seed: Seed of the split of the words and of the filling.
        word_id: Token id of a word with a space before it, ``None`` where it is not one token.

    Returns:
        Columns of a raw table of pairs. The position is the name.

    Raises:
        InputError: If a template is wrong or in both splits, or a split has none; if a pronoun is not one token; if
            there are too few words; if a name has both pronouns or stands inside another word of the sentences.
    """
    check_sentences(words.templates, _check_template)
    for pronoun in words.names:
        if word_id(pronoun) is None:
            raise InputError(f"the pronoun '{pronoun}' is not one token for this tokenizer")
    _check_names(words)
    pools = _pools(words, test_share, seed, word_id)

    rows: list[dict] = []
    for split in SPLITS:
        rng = numpy_generator(seed, "fill", split)
        for number in range(cases[split]):
            template = number % len(words.templates[split])  # they take turns, so that each has its share
            own, unrelated = _case(words.templates[split][template], pools[split], rng)
            about = dict(group=f"{split}-{number}", split=split, template=template)
            rows += [row | about for row in four_pairs(own, unrelated, {pronoun: pronoun for pronoun in words.names})]
    return pd.DataFrame(rows)


def _check_template(template: str) -> None:
    """Makes sure that a template has the two slots.

    Raises:
        InputError: If not.
    """
    # A brace that is not one of a slot is found as a slot without a name.
    if [match[1] for match in re.finditer(r" {([^{}]*)}|[{}]", template)] != [*SLOTS]:
        raise InputError(
            f"template '{template}': {{name}} and then {{event}} must stand in it, each once and after a space, and no "
            "other slot"
        )


def _check_names(words: Words) -> None:
    """Makes sure that a name has one pronoun, and can stand nowhere in its prompt but in its slot.

    Raises:
        InputError: If not.
    """
    first, second = words.names.values()
    if both := {*first} & {*second}:
        raise InputError(f"the name '{min(both)}' has both pronouns; take it out of one of the lists")
    others = [*words.events, *(re.sub("{[^{}]*}", "|", template) for template in chain(*words.templates.values()))]
    for name in (*first, *second):
        if inside := [text for text in others if name in text]:
            raise InputError(
                f"the name '{name}' stands in '{inside[0]}', so that its place in a prompt is not plain; "
                "take one of them out"
            )


class _Pool(NamedTuple):
    """The words of a split."""

    names: dict[str, list[str]]
    """By pronoun."""
    events: list[str]


def _pools(words: Words, test_share: float, seed: int, word_id: Callable[[str], int | None]) -> dict[str, _Pool]:
    """The words of each split.

    Raises:
        InputError: If too few are left.
    """
    pools = {split: _Pool({}, []) for split in SPLITS}
    for pronoun, names in words.names.items():
        known = sorted(name for name in {*names} if word_id(name) is not None)
        kind = f"names of '{pronoun}' of one token for this tokenizer"
        for split, own in dealt(known, kind, LEAST, test_share, seed).items():
            pools[split].names[pronoun] = own
    for split, own in dealt(sorted({*words.events}), "events", LEAST, test_share, seed).items():
        pools[split].events.extend(own)
    return pools


def _case(template: str, pool: _Pool, rng: np.random.Generator) -> list[dict[str, Filled]]:
    """A template filled twice with unrelated words, each time with a name of each pronoun."""
    events = rng.choice(pool.events, LEAST, replace=False).tolist()
    names = {pronoun: rng.choice(listed, LEAST, replace=False).tolist() for pronoun, listed in pool.names.items()}
    return [
        {
            pronoun: Filled(template.format(name=drawn[place], event=event), drawn[place])
            for pronoun, drawn in names.items()
        }
        for place, event in enumerate(events)
    ]
