"""Prose in short paragraphs, and what tests ask of a page."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subspace_illusion.report.paragraphs import MOST_WORDS, paragraphs
from written_pages import long_paragraphs, numbers_without_a_table

REPORT = Path(__file__).parents[2] / "results/report.html"


@settings(max_examples=30)
@given(st.lists(st.integers(1, MOST_WORDS), max_size=12))
def test_prose_is_broken_where_sentences_end_and_nothing_is_lost(lengths):
    text = " ".join(" ".join(["Word", *["word"] * (length - 1)]) + "." for length in lengths)
    found = paragraphs(text)
    assert " ".join(found) == text
    assert all(len(paragraph.split()) <= MOST_WORDS and paragraph.endswith(".") for paragraph in found)


def test_a_name_with_a_full_stop_ends_no_sentence():
    assert paragraphs("Wu et al. (2024) object. " + "So it is. " * 30)[0].startswith("Wu et al. (2024) object. So")
    assert paragraphs("") == []


@pytest.mark.parametrize(
    ("sentence", "missing"),
    [("It is 0.84.", []), ("It is 84 %.", []), ("It is 0.9 of 5, E3.", ["0.9"]), ("At mlp20 it is -1.", ["-1"])],
)
def test_numbers_are_looked_for_as_they_are_rounded(sentence, missing):
    page = f"<p>{sentence}</p><table><tr><td>0.836 [0.79, 5]</td></tr></table>"
    assert [number for number, _ in numbers_without_a_table(page)] == missing


def test_the_runs_report_is_short_and_every_number_has_a_table():
    page = REPORT.read_text(encoding="utf-8")
    assert long_paragraphs(page) == []
    assert numbers_without_a_table(page) == []
    assert REPORT.stat().st_size < 3e6
