"""Where does a variable live in a model? Patches every component of every block whole on your pairs.

Says which block writes it and which reads it, and which hooks are worth an audit.

  subspace-illusion localise --model gpt2 --pairs mine.csv --out where
"""

import argparse

from subspace_illusion.cli.arguments import add_input, check_files, count, given

MOST = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_input(parser)
    parser.add_argument("--most", type=count, default=MOST, help=f"training pairs at most (default: {MOST})")


def run(options: argparse.Namespace) -> None:
    """Runs the localisation.

    Raises:
        InputError: If something that was given is wrong.
    """
    from subspace_illusion.auditing.localising import WRITTEN, localise_variable
    from subspace_illusion.files import check_free
    from subspace_illusion.pipeline.cores import bound_threads

    bound_threads()
    check_files(options)
    check_free(options.out, WRITTEN, options.force)
    found = localise_variable(options.model, options.pairs, most=options.most, progress=True, **given(options))
    found.save(options.out, options.force)
    print(f"\n{found}\n\n{options.out}/report.html has the pictures.")
