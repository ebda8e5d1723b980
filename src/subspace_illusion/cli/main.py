"""``subspace-illusion``: audit, localise, pairs, compare, export, tasks, doctor."""

import argparse
import ast
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from subspace_illusion.cli.wording import in_options
from subspace_illusion.errors import InputError

ABOUT = (
    "Is this the subspace you are looking for?\nChecks subspaces of language models for the interpretability illusion."
)
FIRST = "to begin with:\n  subspace-illusion doctor path/to/model"
COMMANDS = ("audit", "localise", "pairs", "compare", "export", "tasks", "doctor")
"""Each a module beside this one: its docstring, with an example in it, ``add_arguments`` and ``run``."""
EXTRAS = {"dvc": "pipeline", "hydra": "pipeline", "omegaconf": "pipeline", "dask": "cluster", "distributed": "cluster"}
"""By package, the extra that brings it."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Help that fits a screen: the usage has what must be given, and options stand in one line each."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: Any = None) -> None:
        super().add_usage(usage, [action for action in actions if action.required], (), prefix)


def parser(asked: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of every command.

    Args:
        asked: Words among which the command's is: torch takes seconds, so others are listed with their first line only.
    """
    whole = argparse.ArgumentParser(prog="subspace-illusion", description=ABOUT, epilog=FIRST, formatter_class=Help)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        about = about_command(name)
        command = commands.add_parser(
            name, help=about.splitlines()[0].partition("? ")[0] + "?", description=about, formatter_class=Help
        )
        if name in asked:
            module = import_module(f"subspace_illusion.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return whole


def main() -> None:
    """Runs a command; what is wrong with its input is said in one line.

    A command that keeps something when it is stopped says so in the interrupt that it raises.
    """
    try:
        options = parser(sys.argv[1:2]).parse_args()
        options.run(options)
    except InputError as error:
        sys.exit(f"error: {in_options(str(error))}")
    except ModuleNotFoundError as error:
        sys.exit(f"error: {lacking(error, sys.argv[1])}")
    except KeyboardInterrupt as stopped:
        sys.exit(f"stopped; {str(stopped) or 'nothing was written'}")


def about_command(name: str) -> str:
    """A command's docstring, read without importing it."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def lacking(error: ModuleNotFoundError, command: str) -> str:
    """What to install for a command that lacks a package.

    Raises:
        ModuleNotFoundError: The same error, if no extra brings the package.
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        raise error
    return f"subspace-illusion {command} needs {package}: pip install 'subspace-illusion[{EXTRAS[package]}]'"


if __name__ == "__main__":
    main()
