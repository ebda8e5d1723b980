"""Cells of a table, whatever wrote it: arrays for lists, lists and mappings as text, and what cannot be read."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

_OF_NUMPY = re.compile(r"(?:np|numpy)\.\w+|array|list")
"""What numpy and pandas write as calls: ``array([...], dtype=object)``, ``np.str_('a')``."""

_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")


@dataclass(frozen=True)
class Wrong:
    """What stands in a cell that cannot be read.

    Attributes:
        said: What is wrong with its row, as ``BadRows`` takes it.
    """

    said: str


def in_python(cell: Any) -> Any:
    """A cell in Python's own types: arrays and tuples are lists, also inside others, and what is missing ``None``."""
    if isinstance(cell, np.ndarray | np.generic):
        cell = cell.tolist()
    if isinstance(cell, list | tuple):
        return [in_python(value) for value in cell]
    if isinstance(cell, Mapping):
        return {key: in_python(value) for key, value in cell.items()}
    return None if cell is pd.NA or cell is pd.NaT else cell


def opened(cell: Any) -> Any:
    """What a cell says: of a text that is a list or a mapping as JSON, Python or numpy write it, that; else the cell.

    numpy puts no commas between the values of a list, where Python would take two texts for one.
    """
    if not isinstance(cell, str) or not cell.lstrip().startswith(("[", "{", "(", "array(")):
        return cell
    for read in (json.loads, _literal):
        try:
            found = read(cell.strip())
        except (ValueError, TypeError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError):
            continue
        if isinstance(found, list | dict):
            return found
    return cell


def _literal(text: str) -> Any:
    return _value(ast.parse(_with_commas(text), mode="eval").body)


def _value(node: Any) -> Any:
    """The value of a literal, all sequences as lists.

    Raises:
        ValueError: If it is none.
    """
    match node:
        case ast.List(elts) | ast.Tuple(elts) | ast.Set(elts):
            return [_value(value) for value in elts]
        case ast.Dict(keys, values):
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True)}
        case ast.Call(func, [inner, *_]) if _OF_NUMPY.fullmatch(ast.unparse(func)):
            return _value(inner)
    return ast.literal_eval(node)


def _with_commas(text: str) -> str:
    """A literal with a comma wherever two values stand side by side in it.

    Raises:
        ValueError: If more follows behind its last bracket.
    """
    found = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.string.strip()]
    depth, written = 0, ""
    for before, token in zip([None, *found], found, strict=False):
        if before is not None and before.string in _CLOSING and depth == 0:
            raise ValueError("two values stand side by side")
        beside = before is not None and _ends_a_value(before) and (_is_value(token) or token.string in ("[", "{"))
        written += (", " if beside else " ") + token.string
        depth += (token.string in _OPENING) - (token.string in _CLOSING)
    return written.strip()


def _ends_a_value(token: tokenize.TokenInfo) -> bool:
    return _is_value(token) or token.string in _CLOSING


def _is_value(token: tokenize.TokenInfo) -> bool:
    return token.type in (tokenize.STRING, tokenize.NUMBER, tokenize.NAME)
