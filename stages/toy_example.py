"""Computes the post's abstract example, its two bases, its generalisation, and the cancelling heads (E0)."""

from subspace_illusion.experiments.toy_example import toy_example as make_tables
from subspace_illusion.files import write_json
from subspace_illusion.pipeline.layout import RESULTS
from subspace_illusion.pipeline.sections import ToyExample
from subspace_illusion.pipeline.stage import run, say


def main(toy_example: ToyExample, seed: int) -> None:
    say("computing the abstract example, a second")
    write_json(RESULTS / "toy_example/tables.json", make_tables(toy_example.dimensions, seed))


if __name__ == "__main__":
    run(main, __doc__)
