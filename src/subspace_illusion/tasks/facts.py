"""Pairs of the facts task (E16): which answer does a relation give for a subject ("The capital of France is" -> Paris)?

The subjects of a relation are taken two by two. A couple gives, with every sentence, a pair in each direction, and for
each of its subjects pairs of two sentences about it. Train and test share no sentence and no subject, not even between
relations.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, zip_longest
from pathlib import Path

import numpy as np
import pandas as pd

from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.errors import InputError
from subspace_illusion.files import one_line, read_yaml
from subspace_illusion.tasks.cases import check_templates, dealt
from subspace_illusion.tasks.table import DIFFERENT, SAME, SPLITS

FACT_COLUMNS = ("relation", "subject", "answer")
SLOT = "{subject}"

Templates = Mapping[str, Mapping[str, Sequence[str]]]
"""Sentences by relation and split."""
Couple = tuple[tuple[str, str], tuple[str, str]]
"""Two subjects, each with its answer."""


def read_facts(folder: Path) -> tuple[pd.DataFrame, Templates]:
    """The facts of ``facts.csv`` and the sentences of ``templates.yaml`` in a folder.

    Raises:
        InputError: If a file cannot be read or does not hold what it must.
    """
    path = folder / "facts.csv"
    try:
        # Nothing is taken for a missing value: a country's code may be NA.
        facts = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}") from error
    if set(facts.columns) != set(FACT_COLUMNS):
        raise InputError(f"{path} must have the columns {', '.join(FACT_COLUMNS)} and no others")
    path = folder / "templates.yaml"
    templates = read_yaml(path)
    if not isinstance(templates, dict):
        raise InputError(f"{path} must hold, for each relation, two lists of sentences, train and test")
    named = {str(relation): check_templates(listed, f"{path}: {relation}") for relation, listed in templates.items()}
    return facts, named


def make_facts(
    facts: pd.DataFrame, templates: Templates, couples: Mapping[str, int], test_share: float, seed: int
) -> pd.DataFrame:
    """The raw table of pairs, four rows for each sentence of a couple: each subject as base, with the other subject as
    source and with another sentence about itself.

    Args:
        facts: Columns ``FACT_COLUMNS``, text.
        templates: Sentences by relation and split.
        couples: Number of couples by split; relations take turns as long as they have some.
        test_share: Share of the subjects that only the test split uses.
        seed: Seed of the split of the subjects and of the couples.

    Returns:
        Columns of a raw table of pairs, and ``relation``, ``subject``, ``source_subject``. The position is the subject,
        the group the couple; templates are numbered through all relations of a split.

    Raises:
        InputError: If facts or sentences are not as they must be, or there are fewer couples than asked for.
    """
    _check_facts(facts, templates)
    for relation, listed in templates.items():
        _check_sentences(relation, listed, facts["subject"])
    of_split = dealt(sorted(set(facts["subject"])), "subjects", 0, test_share, seed)
    rows: list[dict] = []
    for split in SPLITS:
        own = facts[facts["subject"].isin(of_split[split])]
        by_relation = []
        for relation in templates:
            couples_of = _couples(own[own["relation"] == relation], numpy_generator(seed, "couples", split, relation))
            by_relation.append([(relation, couple) for couple in couples_of])
        in_turn = [turn for turn in chain(*zip_longest(*by_relation)) if turn is not None]
        if len(in_turn) < couples[split]:
            raise InputError(
                f"{couples[split]} {split} couples of facts are asked for, but the facts give {len(in_turn)}; "
                "add facts, ask for fewer or change the share of test subjects"
            )
        before = accumulate((len(listed[split]) for listed in templates.values()), initial=0)
        first = dict(zip(templates, before, strict=False))
        for number, (relation, couple) in enumerate(in_turn[: couples[split]]):
            about = dict(group=f"{split}-{number}", split=split, relation=relation)
            rows += [pair | about for pair in _pairs(couple, templates[relation][split], first[relation])]
    return pd.DataFrame(rows)


def _check_facts(facts: pd.DataFrame, templates: Templates) -> None:
    """Makes sure that facts are whole, each said once, and of relations that have sentences.

    Raises:
        InputError: If not.
    """
    for fact in facts[[*FACT_COLUMNS]].itertuples(index=False):
        if any(not word or word != word.strip() for word in fact):
            raise InputError(f"the fact {','.join(fact)} has an empty word, or one that begins or ends in a space")
        if fact.relation not in templates:
            raise InputError(f"the relation '{fact.relation}' has no templates; add some or take out its facts")
    if (twice := facts.duplicated(["relation", "subject"])).any():
        fact = facts[twice].iloc[0]
        raise InputError(f"the {fact['relation']} of '{fact['subject']}' is there twice; take one out")


def _check_sentences(relation: str, templates: Mapping[str, Sequence[str]], subjects: Sequence[str]) -> None:
    """Makes sure that a relation has sentences of its own for each split, in which a subject comes once.

    Raises:
        InputError: If not.
    """
    for split in SPLITS:
        if len({*templates[split]}) < max(2, len(templates[split])):
            raise InputError(f"{relation}: there must be two {split} templates or more, all different")
    if shared := {*templates["train"]} & {*templates["test"]}:
        raise InputError(f"template '{shared.pop()}' stands in both splits; take it out of one")
    for template in chain(*templates.values()):
        rest = template.split(SLOT)
        if len(rest) != 2 or any(brace in part for part in rest for brace in "{}"):
            raise InputError(f"template '{template}': {SLOT} must stand in it, once, and no other slot")
        if template.endswith(" "):
            raise InputError(f"template '{template}': it must not end in a space, as the answer brings its own")
        if inside := [subject for subject in subjects if any(subject in part for part in rest)]:
            raise InputError(f"template '{template}': the subject '{inside[0]}' would come twice; reword it")


def _couples(facts: pd.DataFrame, rng: np.random.Generator) -> list[Couple]:
    """Facts of one relation two by two, each once, with different answers; as many couples as there can be."""
    shuffled = facts.iloc[rng.permutation(len(facts))]
    # Equal answers lie side by side, so that half a list further there is another one unless it has more than half.
    ordered = shuffled.iloc[np.argsort(pd.factorize(shuffled["answer"])[0], kind="stable")]
    listed = list(zip(ordered["subject"], ordered["answer"], strict=True))
    half = (len(listed) + 1) // 2
    couples = [couple for couple in zip(listed, listed[half:], strict=False) if couple[0][1] != couple[1][1]]
    return [couples[place] for place in rng.permutation(len(couples))]


def _pairs(couple: Couple, templates: Sequence[str], first: int) -> list[dict]:
    """The pairs of a couple, with the number of the first of its templates."""
    rows = []
    for place, template in enumerate(templates):
        another = templates[(place + 1) % len(templates)]
        for own, partner in (couple, couple[::-1]):
            for kind, source, sentence in ((DIFFERENT, partner, template), (SAME, own, another)):
                (subject, answer), (source_subject, source_answer) = own, source
                rows.append(
                    dict(
                        kind=kind,
                        template=first + place,
                        base=template.format(subject=subject),
                        source=sentence.format(subject=source_subject),
                        base_answer=answer,
                        source_answer=source_answer,
                        foil=partner[1],
                        position=subject,
                        source_position=source_subject,
                        value=answer,
                        source_value=source_answer,
                        subject=subject,
                        source_subject=source_subject,
                    )
                )
    return rows
