"""What tasks of two values share: sentences that each split has for itself, words dealt to the splits, and the four
pairs of a case."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.table import DIFFERENT, SAME, SPLITS

Word = TypeVar("Word")


def check_templates(templates: Any, name: str) -> dict[str, list[str]]:
    """Makes sure that what a file of templates holds is two lists of sentences.

    Args:
        templates: What it holds.
        name: The file's name.

    Raises:
        InputError: If not.
    """
    if not isinstance(templates, dict) or set(templates) != set(SPLITS):
        raise InputError(f"{name} must hold two lists of sentences, train and test")
    for split, listed in templates.items():
        if not isinstance(listed, list) or not all(isinstance(template, str) for template in listed):
            raise InputError(f"{name}: {split} must be a list of sentences")
    return templates


def check_sentences(templates: Mapping[str, Sequence[str]], check: Callable[[str], None]) -> None:
    """Makes sure that each split has templates of its own.

    Args:
        templates: By split.
        check: Raises an error for a template that is wrong.

    Raises:
        InputError: If not, or if one is wrong or ends in a space.
    """
    for split in SPLITS:
        if not templates.get(split):
            raise InputError(f"there are no {split} templates; add some")
        for template in templates[split]:
            check(template)
            if template.endswith(" "):
                raise InputError(f"template '{template}': it must not end in a space, as the answer brings its own")
    if shared := {*templates["train"]} & {*templates["test"]}:
        raise InputError(f"template '{shared.pop()}' stands in both splits; take it out of one")


def dealt(
    words: Sequence[Word], kind: str, least: int, test_share: float, seed: int, which: str = ""
) -> dict[str, list[Word]]:
    """The words of one kind, dealt to the splits.

    Args:
        words: The words, in an order that does not depend on how they were listed.
        kind: What they are called, on which the deal depends.
        least: How many a split cannot do without.
        test_share: Share of them that only the test split uses.
        seed: Seed of the deal.
        which: What else messages say of them.

    Raises:
        InputError: If too few are left.
    """
    order = [words[place] for place in numpy_generator(seed, "split", kind).permutation(len(words))]
    n_test = round(len(order) * test_share)
    of_split = dict(test=order[:n_test], train=order[n_test:])
    for split, own in of_split.items():
        if len(own) < least:
            raise InputError(
                f"too few {kind}{which}: {len(own)} for the {split} split, {least} needed; add some or change the "
                "share of test words"
            )
    return of_split


@dataclass(frozen=True)
class Filled:
    """A filled template, and the word in it that has the value."""

    text: str
    word: str


def four_pairs(
    own: Mapping[str, Filled], unrelated: Mapping[str, Filled], answers: Mapping[str, str]
) -> list[dict[str, str]]:
    """The four pairs of a case: each value as base, with a source of the other value and otherwise the same words, and
    with one of the same value and unrelated words.

    Args:
        own: The case's prompts by value, of which there are two.
        unrelated: Those with other words.
        answers: The answer by value.
    """
    rows = []
    first, second = answers
    for value, other in ((first, second), (second, first)):
        for kind, source, of_source in ((DIFFERENT, own[other], other), (SAME, unrelated[value], value)):
            rows.append(
                dict(
                    kind=kind,
                    base=own[value].text,
                    source=source.text,
                    base_answer=answers[value],
                    source_answer=answers[of_source],
                    foil=answers[other],
                    position=own[value].word,
                    source_position=source.word,
                    value=value,
                    source_value=of_source,
                )
            )
    return rows
