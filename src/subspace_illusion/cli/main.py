"""``subspace-illusion``: audit, localise, compare, tasks."""

import argparse
import sys

from subspace_illusion.cli import audit, compare, localise, tasks
from subspace_illusion.errors import InputError

ABOUT = (
    "Is this the subspace you are looking for? Checks subspaces of language models for the interpretability illusion."
)


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    whole = argparse.ArgumentParser(prog="subspace-illusion", description=ABOUT)
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for module in (audit, localise, compare, tasks):
        name, about = module.__name__.rpartition(".")[2], module.__doc__ or ""
        command = commands.add_parser(
            name, help=about.splitlines()[0], description=about, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return whole


def main() -> None:
    """Runs a command; what is wrong with its input is said in one line."""
    options = parser().parse_args()
    try:
        options.run(options)
    except InputError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; what was finished is kept, and the same command goes on from there")


if __name__ == "__main__":
    main()
