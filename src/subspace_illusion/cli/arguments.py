"""What the commands that run in one process, in any folder, have in common."""

import argparse
import os
from pathlib import Path
from typing import Any

from subspace_illusion.errors import InputError


def add_input(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what is looked at, and where what is found goes."""
    parser.add_argument(
        "--model", required=True, help="a folder with a model, or its name on the Hugging Face hub, NAME[@REVISION]"
    )
    parser.add_argument("--pairs", required=True, type=Path, help="your pairs: parquet, csv, jsonl or json")
    parser.add_argument(
        "--position", default="last", help="where the table does not say it: last, a token's index, or a span's text"
    )
    parser.add_argument("--source-position", help="the same in the sources (default: as --position)")
    parser.add_argument(
        "--keep-incorrect", action="store_true", help="keep the pairs that the model gets wrong, which are left out"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split, the draws and random subspaces (default: 0)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a folder for what is found")
    parser.add_argument("--force", action="store_true", help="replace what an earlier run left in DIR")


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings among the arguments of ``add_input``."""
    source = options.position if options.source_position is None else options.source_position
    return dict(
        position=options.position,
        source_position=source,
        filter_incorrect=not options.keep_incorrect,
        seed=options.seed,
    )


def check_files(options: argparse.Namespace) -> None:
    """Makes sure that the table of pairs is there and the folder can be written, before seconds go by.

    Raises:
        InputError: If not.
    """
    if not options.pairs.is_file():
        raise InputError(f"--pairs {options.pairs}: there is no such file")
    above = options.out.absolute().parent
    while not above.exists():
        above = above.parent
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise InputError(f"--out {options.out}: nothing can be written to {above}")
