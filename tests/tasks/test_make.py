"""A task's prompts and pairs, from a table of the user's."""

from dataclasses import replace

import pandas as pd

from made_tokenizers import BOS, bpe
from subspace_illusion.auditing.given_pairs import given_pairs
from subspace_illusion.auditing.settings import Reading
from subspace_illusion.tasks.make import make_task
from subspace_illusion.tasks.reading import PairsReading


def test_a_table_gives_the_pipeline_the_pairs_that_it_gives_an_audit(tmp_path):
    told = [
        ("France", "Spain", "Paris", "Madrid"),
        ("Italy", "Peru", "Rome", "Lima"),
        ("Cuba", "Norway", "Havana", "Oslo"),
    ]
    rows = [(f"The capital of {a} is", f"The capital of {b} is", of_a, of_b, a, b) for a, b, of_a, of_b in told]
    rows[2] = (*rows[2][:-1], "Atlantis")
    pd.DataFrame(rows, columns=[*"abcdef"]).to_csv(tmp_path / "pairs.csv", index=False)
    columns = ("base", "source", "base_answer", "source_answer", "position", "source_position")
    how = dict(columns=dict(zip(columns, "abcdef", strict=True)), bos="yes", both_ways=True, skip_bad_rows=True)
    said: list[str] = []
    path, reading = tmp_path / "pairs.csv", PairsReading(**how)
    made, pairs = make_task("pairs", path, bpe(), {}, 0.5, 3, reading=reading, say=said.append)
    assert len(pairs) == 4
    assert all(bpe().text(tokens[:1]) == BOS for tokens in made["tokens"])
    assert any("1 of 3 rows are left out: row 3" in line for line in said)
    given = given_pairs(path, Reading(**how, seed=3))
    audited, _ = given.read(replace(bpe(), bos="yes"), Reading(seed=3), 0.5)
    pd.testing.assert_frame_equal(made, audited.prompts)
    pd.testing.assert_frame_equal(pairs, audited.pairs)
