"""Pairs of the agreement task: is the subject singular or plural?

A case is one filled template: a subject, a distractor between it and the verb ("The keys behind the singer" -> are),
and an unrelated subject and distractor. The distractor keeps its number from base to source, so that the subject's
alone decides. Train and test share no template and no word but the answers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_yaml
from subspace_illusion.tasks.cases import Filled, check_sentences, check_templates, dealt, four_pairs
from subspace_illusion.tasks.table import SPLITS

NUMBERS = ("singular", "plural")

_INFLECTED: dict[str, str] = dict(subjects="subject", distractors="distractor", verbs="verb")
"""The slot of each list of words that have two numbers."""
_SLOTS = (*_INFLECTED.values(), "preposition")
_ONCE = ("subject", "distractor")
_LEAST = dict(subjects=2, distractors=2, verbs=1, prepositions=1)
"""Words of each list that a split cannot do without: those of a case, which are all different."""


class Forms(NamedTuple):
    """A word in both numbers."""

    singular: str
    plural: str

    def in_number(self, number: str) -> str:
        """The form of one of ``NUMBERS``."""
        return self.plural if number == "plural" else self.singular


@dataclass(frozen=True)
class Lexicon:
    """The words and sentences of the task."""

    subjects: Sequence[Forms]
    distractors: Sequence[Forms]
    prepositions: Sequence[str]
    verbs: Sequence[Forms]
    """Of relative clauses, whose subject is the distractor."""
    answers: Sequence[Forms]
    templates: Mapping[str, Sequence[str]]
    """By split."""


def read_lexicon(folder: Path) -> Lexicon:
    """The lexicon of a folder with ``words.yaml`` and ``templates.yaml``.

    Raises:
        InputError: If a file cannot be read or does not hold what it must.
    """
    path = folder / "words.yaml"
    words = read_yaml(path)
    needed = (*_INFLECTED, "prepositions", "answers")
    if not isinstance(words, dict) or set(words) != set(needed):
        raise InputError(f"{path} must hold the lists {', '.join(needed)} and nothing else")
    prepositions = words["prepositions"]
    if not isinstance(prepositions, list) or not all(isinstance(word, str) for word in prepositions):
        raise InputError(f"{path}: prepositions must be a list of words; put quotes around what YAML takes for no text")
    forms = {kind: _forms(words[kind], f"{path}: {kind}") for kind in (*_INFLECTED, "answers")}
    path = folder / "templates.yaml"
    return Lexicon(prepositions=prepositions, templates=check_templates(read_yaml(path), str(path)), **forms)


def _forms(listed: Any, name: str) -> list[Forms]:
    """The words of a mapping from singular to plural.

    Raises:
        InputError: If it is none.
    """
    if not isinstance(listed, dict) or not all(isinstance(word, str) for word in chain(*listed.items())):
        raise InputError(f"{name} must be words, one a line, each as singular: plural")
    return [Forms(*both) for both in listed.items()]


def make_agreement(
    lexicon: Lexicon,
    cases: Mapping[str, int],
    test_share: float,
    seed: int,
    word_id: Callable[[str], int | None],
) -> pd.DataFrame:
    """The raw table of pairs, four rows a case: each number of the subject as base, with a source of the other number
    and otherwise the same words, and with one of the same number and unrelated words.

    Args:
        lexicon: Words and templates. Nouns of which a form is not one token are left out.
        cases: Number of cases by split.
        test_share: Share of the words of each list that only the test split uses.
        seed: Seed of the split of the words and of the filling.
        word_id: Token id of a word with a space before it, ``None`` where it is not one token.

    Returns:
        Columns of a raw table of pairs, and ``distractor_value``, the number of the distractor in base, half of the
        cases of a split each. The position is the subject.

    Raises:
        InputError: If a template is wrong or in both splits, or a split has none; if there are no answers, or one is
            not one token; if there are too few words; if a noun is both subject and distractor, or a subject stands
            inside another word of the sentences.
    """
    check_sentences(lexicon.templates, _check_template)
    if not lexicon.answers:
        raise InputError("there are no answers; add a verb with both its numbers")
    for answer in chain(*lexicon.answers):
        if word_id(answer) is None:
            raise InputError(f"the answer '{answer}' is not one token for this tokenizer; take it out of the answers")
    pools = _pools(lexicon, test_share, seed, word_id)
    for split in SPLITS:
        _check_spans(pools[split], lexicon.templates[split])

    rows: list[dict] = []
    for split in SPLITS:
        rng = numpy_generator(seed, "fill", split)
        # A case's own distractor and the unrelated one: balanced apart, so that neither number tells the other.
        numbers = zip(*(_balanced(cases[split], rng) for _ in range(2)), strict=True)
        for number, of_distractors in enumerate(numbers):
            template = number % len(lexicon.templates[split])  # they take turns, so that each has its share
            own, unrelated = _case(lexicon.templates[split][template], pools[split], of_distractors, rng)
            (answer,) = _draw(lexicon.answers, 1, rng)
            about = dict(group=f"{split}-{number}", split=split, template=template, distractor_value=of_distractors[0])
            answers = {value: answer.in_number(value) for value in NUMBERS}
            rows += [row | about for row in four_pairs(own, unrelated, answers)]
    return pd.DataFrame(rows)


def _check_template(template: str) -> None:
    """Makes sure that a template has a subject and then a distractor, each once and after a space.

    Raises:
        InputError: If not.
    """
    # A brace that is not one of a slot is found as a slot without a name.
    slots = [match[1] or "" for match in re.finditer(r"{([^{}]*)}|[{}]", template)]
    if unknown := [slot for slot in slots if slot not in _SLOTS]:
        known = ", ".join(f"{{{slot}}}" for slot in _SLOTS)
        raise InputError(f"template '{template}': there is no slot {{{unknown[0]}}}; the slots are {known}")
    if [slot for slot in slots if slot in _ONCE] != [*_ONCE]:
        raise InputError(f"template '{template}': {{subject}} and then {{distractor}} must stand in it, each once")
    if " {subject}" not in template or " {distractor}" not in template:
        raise InputError(f"template '{template}': {{subject}} and {{distractor}} must each follow a space")


def _pools(
    lexicon: Lexicon, test_share: float, seed: int, word_id: Callable[[str], int | None]
) -> dict[str, dict[str, list[Any]]]:
    """The words of each split, by list.

    Raises:
        InputError: If too few are left, or a noun is in both lists of nouns.
    """
    listed: dict[str, list[Any]] = dict(prepositions=sorted({*lexicon.prepositions}), verbs=sorted({*lexicon.verbs}))
    for kind, nouns in dict(subjects=lexicon.subjects, distractors=lexicon.distractors).items():
        listed[kind] = [
            noun for noun in sorted({*nouns}) if all(word_id(noun.in_number(number)) is not None for number in NUMBERS)
        ]
    if both := {*chain(*lexicon.subjects)} & {*chain(*lexicon.distractors)}:
        raise InputError(f"the noun '{min(both)}' is both subject and distractor; take it out of one of the lists")
    pools: dict[str, dict[str, list[Any]]] = {split: {} for split in SPLITS}
    for kind, words in listed.items():
        which = " of one token for this tokenizer" if kind in ("subjects", "distractors") else ""
        for split, own in dealt(words, kind, _LEAST[kind], test_share, seed, which).items():
            pools[split][kind] = own
    return pools


def _check_spans(pool: Mapping[str, Sequence[Any]], templates: Sequence[str]) -> None:
    """Makes sure that no subject can stand anywhere in its prompt but in its slot.

    Raises:
        InputError: If one can.
    """
    gaps = "|".join(f"{{{slot}}}" for slot in _SLOTS)
    others = {part for template in templates for part in re.split(gaps, template)} | {*pool["prepositions"]}
    others |= {*chain(*pool["distractors"], *pool["verbs"])}
    for subject in chain(*pool["subjects"]):
        if inside := sorted(text for text in others if subject in text):
            raise InputError(
                f"the subject '{subject}' stands in '{inside[0].strip()}', so that its place in a prompt is not plain; "
                "take one of them out"
            )


def _balanced(n: int, rng: np.random.Generator) -> list[str]:
    """A number for each of n words, half of them plural, in random order."""
    return [NUMBERS[place] for place in rng.permutation(np.arange(n) % 2)]


def _case(
    template: str,
    pool: Mapping[str, Sequence[Any]],
    of_distractors: tuple[str, str],
    rng: np.random.Generator,
) -> list[dict[str, Filled]]:
    """A template filled twice with unrelated words, each time in both numbers of the subject."""
    nouns = (_draw(pool[kind], 2, rng) for kind in ("subjects", "distractors"))
    filled = []
    for subject, distractor, of_distractor in zip(*nouns, of_distractors, strict=True):
        (preposition,), (verb,) = (_draw(pool[kind], 1, rng) for kind in ("prepositions", "verbs"))
        others = dict(distractor=distractor.in_number(of_distractor), verb=verb.in_number(of_distractor))
        others |= dict(preposition=preposition)
        filled.append(
            {
                number: Filled(template.format(subject=subject.in_number(number), **others), subject.in_number(number))
                for number in NUMBERS
            }
        )
    return filled


def _draw(words: Sequence[Any], n: int, rng: np.random.Generator) -> list[Any]:
    """Some of the words, each once."""
    return [words[place] for place in rng.choice(len(words), n, replace=False).tolist()]
