"""Computes the post's abstract example, its two base prompts, its generalisation, and the cancelling heads (E0)."""

from subspace_illusion.experiments.toy_example import toy_example
from subspace_illusion.files import RESULTS, write_json
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run, say


def main(params: Params) -> None:
    say("computing the abstract example, a second")
    tables = toy_example(params.toy_example.dimensions, params.toy_example.seed)
    write_json(RESULTS / "toy_example/tables.json", tables)


if __name__ == "__main__":
    run(main, __doc__)
