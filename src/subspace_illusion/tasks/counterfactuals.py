"""Tables in which a row is one input with its counterfactual inputs: causalab's, and MIB's as they are published."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answer_sets import plain
from subspace_illusion.tasks.cells import Wrong, opened
from subspace_illusion.tasks.completed import REQUIRED
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.quoting import quoted

INPUTS = "input", "counterfactual_inputs"
"""Causalab's columns of inputs and of their counterfactuals."""
COUNTERFACTUAL = "_counterfactual"
"""How the name of a column ends that holds one kind of MIB's counterfactuals."""
_BASE_ANSWERS = ("base_answer", "input_answer", "input_output", "raw_output", "output", "answer")
_SOURCE_ANSWERS = (
    *("source_answer", "cf_answer", "counterfactual_answer", "counterfactual_output", "source_output"),
    *("cf_answers", "counterfactual_answers", "counterfactual_outputs"),
)
"""Where a row says the answers that its examples do not say; of several sources the answers are a list, one each."""
_CALLED_FOR = "label"
"""Where a row says the answer that the source's value calls for in the base."""
_EXAMPLE = ("prompt", "choices", "answerKey", "answer", "label")
"""What MIB says of an input, in columns; of a counterfactual in the keys of a mapping."""


def one_a_counterfactual(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """Causalab's table with one row for each counterfactual, and with our columns.

    An input is a text, or a mapping with the text (``raw_input``, ``prompt`` or ``input``) and the answer
    (``raw_output``, ``answer``, ``label``, or what ``answerKey`` says of ``choices``). Where a row has no
    counterfactual, or one of the two no text or no answer, a cell is ``Wrong``.
    """
    table = _opened(table, *INPUTS, *_SOURCE_ANSWERS, _CALLED_FOR)
    rows: list[dict[str, Any]] = []
    index: list[int] = []
    if _CALLED_FOR in table and table[_CALLED_FOR].map(lambda answer: isinstance(answer, str | list)).any():
        naming.say(f"its {quoted(_CALLED_FOR)} is taken for the answer that the source's value calls for in the base")
    for number, row in enumerate(table.to_dict("records")):
        sources = row[INPUTS[1]] if isinstance(row[INPUTS[1]], list) else [row[INPUTS[1]]]
        rest = {column: value for column, value in row.items() if column not in (*INPUTS, *_SOURCE_ANSWERS[1:])}
        theirs = _one_each(_first(row, _SOURCE_ANSWERS), len(sources), "answer")
        called_for = _one_each(row.get(_CALLED_FOR), len(sources), _CALLED_FOR)
        for source, answer, called in zip(sources, theirs, called_for, strict=True):
            by_row = dict(base_answer=_first(row, _BASE_ANSWERS), source_answer=answer)
            by_example = _example(row[INPUTS[0]], "base") | _example(source, "source")
            by_user = {column: row[column] for column in naming.columns}
            pair = {**_said(by_row), **_said(by_example), **by_user}
            for side, column in zip(("base", "source"), INPUTS, strict=True):
                what = Wrong(
                    f": no text with an answer can be read from the {side} ({column}); it needs raw_input or prompt, "
                    "and raw_output, answer, label, or choices with an answerKey that is one of them, or the row a "
                    f"column '{side}_answer'"
                )
                pair |= dict.fromkeys({side, f"{side}_answer"} - pair.keys(), what)
            rows.append(_called_for(called, pair) | rest | pair)
        if not sources:
            rows.append(rest | dict.fromkeys(REQUIRED, Wrong(" has no counterfactual input; remove it")))
        index += [number] * (len(rows) - len(index))
    return pd.DataFrame(rows, index=index, dtype=object)


def _opened(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """A table whose lists and mappings in some columns are such, also where they are written as text."""
    return table.assign(**{column: table[column].map(opened) for column in columns if column in table})


def _one_each(cell: Any, sources: int, what: str) -> list[Any]:
    """What a row says of each of its counterfactuals; ``Wrong`` where it has several and says not one thing of each.

    Args:
        cell: What it says; a list may be one for each, or several right answers to the only one.
        sources: How many counterfactuals it has.
        what: What messages call what it says.
    """
    if isinstance(cell, list) and len(cell) == sources:
        return cell
    if sources > 1 and isinstance(cell, str | list):
        given = f"a list of {len(cell)}" if isinstance(cell, list) else "one text"
        said = f" has {sources} counterfactual inputs and for their {what} {given}; give a list with one for each"
        return [Wrong(said)] * sources
    return [cell] * sources


def _called_for(answer: Any, pair: Mapping[str, Any]) -> dict[str, Any]:
    """Value of a source and foil, of the answer that the source's value calls for in the base; it is no foil where it
    is the base's own. Nothing where there is no such answer.

    Args:
        answer: That answer, or several.
        pair: The rest of the row.
    """
    if isinstance(answer, Wrong):
        return dict(foil=answer)
    if not isinstance(answer, str | list):
        return {}
    given, own = (cell if isinstance(cell, list) else [cell] for cell in (answer, pair["base_answer"]))
    same = {plain(str(text)) for text in given} == {plain(str(text)) for text in own}
    return dict(value=pair["base_answer"], source_value=answer, foil=None if same else answer)


def _first(example: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """What the first of some keys says that says anything."""
    return next((value for value in map(example.get, keys) if _says(value)), None)


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if _says(value)}


def _says(value: Any) -> bool:
    return value is not None and value == value


def _example(example: Any, side: str) -> dict[str, Any]:
    """Text and answer of one example, ``None`` where it does not say."""
    if isinstance(example, str):
        return {side: example}
    if not isinstance(example, dict):
        return {}
    text, answer = (
        _first(example, keys) for keys in (("raw_input", "prompt", "input"), ("raw_output", "answer", "label"))
    )
    return {side: text, f"{side}_answer": _choice(example) if answer is None else answer}


def _choice(example: Mapping[str, Any]) -> Any:
    """The answer that the key of an example tells, ``None`` where it does not."""
    choices, key = example.get("choices"), example.get("answerKey")
    labels = choices.get("label") if isinstance(choices, dict) else choices
    if not isinstance(labels, list):
        return None
    if isinstance(key, str) and key not in labels and key.isdecimal():  # as a csv file has a number
        key = int(key)
    if isinstance(key, int):
        return labels[key] if 0 <= key < len(labels) else None
    return key if key in labels else None


def published(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """MIB's published table with one row for each counterfactual of one kind, and with our columns.

    Raises:
        InputError: If there are several kinds of counterfactual, each of which changes another variable, and the user
            names none of them.
    """
    kinds = [str(column) for column in table if str(column).endswith(COUNTERFACTUAL)]
    kind = _kind(kinds, naming)
    own = [column for column in _EXAMPLE if column in table]
    table = _opened(table, *own, kind)
    return one_a_counterfactual(
        table.drop(columns=[*own, *kinds]).assign(
            **dict(zip(INPUTS, (table[own].to_dict("records"), table[kind]), strict=True))
        ),
        naming,
    )


def _kind(kinds: Sequence[str], naming: Naming) -> str:
    """The column with the kind of counterfactual that is wanted.

    Raises:
        InputError: If that is not clear.
    """
    wanted = naming.counterfactual
    if wanted is not None:
        named = [kind for kind in kinds if wanted in (kind, kind.removesuffix(COUNTERFACTUAL))]
        if not named:
            raise InputError(f"{naming.name} has no counterfactuals {quoted(wanted)}; it has {', '.join(kinds)}")
        return named[0]
    if len(kinds) > 1:
        raise InputError(
            f"{naming.name} has several kinds of counterfactual, and a pair changes one variable; set counterfactual "
            f"to one of {', '.join(kinds)}"
        )
    return kinds[0]
