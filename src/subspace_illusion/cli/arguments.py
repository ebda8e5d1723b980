"""What the commands that run in one process, in any folder, have in common."""

import argparse
import os
from pathlib import Path
from typing import Any, get_args

from subspace_illusion.core.tokenizer import Bos, Dtype
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answers import Join
from subspace_illusion.tasks.table import Span


def add_input(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what is looked at, and where what is found goes."""
    parser.add_argument("--model", required=True, help="a folder, or NAME[@REVISION] on the Hugging Face hub")
    parser.add_argument("--pairs", required=True, type=Path, help="your pairs: parquet, csv, tsv, jsonl, json")
    add_columns(parser, "base=clean,source=corrupted")
    parser.add_argument(
        "--counterfactual", metavar="KIND", help="which counterfactuals, where a table of MIB's has several"
    )
    parser.add_argument(
        "--position", metavar="WHERE", default="last", help="last (the default), a token's index, or a span's text"
    )
    parser.add_argument("--source-position", metavar="WHERE", help="the same in the sources (default: as in the base)")
    parser.add_argument(
        "--span",
        choices=get_args(Span),
        default="last",
        help="of a text of several tokens: last (the default), all, or their mean",
    )
    parser.add_argument(
        "--join",
        choices=get_args(Join),
        default="auto",
        help="how answers follow their prompt (default: as the texts tell)",
    )
    parser.add_argument(
        "--bos",
        choices=get_args(Bos),
        default="auto",
        help="a beginning-of-sequence token (default: as the tokenizer does)",
    )
    parser.add_argument("--chat", action="store_true", help="put prompts into the model's chat template")
    parser.add_argument("--system", help="what the system says there")
    parser.add_argument("--both-ways", action="store_true", help="add every pair the other way round too")
    parser.add_argument("--skip-bad-rows", action="store_true", help="leave out the rows that are wrong")
    parser.add_argument("--keep-incorrect", action="store_true", help="keep the pairs that the model gets wrong")
    parser.add_argument(
        "--dtype",
        choices=get_args(Dtype),
        metavar="DTYPE",
        default="auto",
        help=f"of the weights: {', '.join(get_args(Dtype))}",
    )
    parser.add_argument("--device-map", metavar="MAP", help="auto, balanced, a device, or a .json file")
    parser.add_argument("--seed", type=int, default=0, help="of the split and all that is drawn (default: 0)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a folder for what is found")
    parser.add_argument("--force", action="store_true", help="replace what an earlier run left in DIR")


def add_columns(parser: argparse.ArgumentParser, example: str) -> None:
    """The argument that says which columns of a table are which."""
    parser.add_argument(
        "--columns",
        type=assignments,
        default={},
        metavar="OURS=THEIRS,...",
        help=f"what columns are called, such as {example}",
    )


def assignments(text: str) -> dict[str, str]:
    """Names with what they are to be, as argparse's types are.

    Raises:
        ArgumentTypeError: If a name has nothing, or comes twice.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not (name.strip() and equals) or name.strip() in found:
            raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value,name=value, each name once")
        found[name.strip()] = value
    return found


def count(text: str) -> int:
    """A whole number from 1 on, as argparse's types are.

    Raises:
        ArgumentTypeError: If it is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return number


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings among the arguments of ``add_input``."""
    return dict(
        columns=options.columns,
        counterfactual=options.counterfactual,
        position=options.position,
        source_position=options.source_position,
        span=options.span,
        join=options.join,
        bos=options.bos,
        chat=options.chat,
        system=options.system,
        both_ways=options.both_ways,
        skip_bad_rows=options.skip_bad_rows,
        filter_incorrect=not options.keep_incorrect,
        dtype=options.dtype,
        device_map=options.device_map,
        seed=options.seed,
    )


def check_files(options: argparse.Namespace) -> None:
    """Makes sure that the table of pairs is there and the folder can be written, before seconds go by; from here on the
    folder is named without links.

    Raises:
        InputError: If not.
    """
    if options.pairs.is_dir():
        raise InputError(f"--pairs {options.pairs} is a folder: name the file in it")
    if not options.pairs.is_file():
        raise InputError(f"--pairs {options.pairs}: there is no such file")
    options.out = free_place(options.out)


def free_place(out: Path) -> Path:
    """Where a folder that was asked for goes: its path without links, from this folder where it lies in it.

    Raises:
        InputError: If it cannot be written there, whatever is there now.
    """
    if dangling := [path for path in (out, *out.parents) if path.is_symlink() and not path.exists()]:
        raise InputError(f"--out {out}: the link {dangling[0]} leads nowhere")
    place, here = out.resolve(), Path.cwd()
    if here.is_relative_to(place):
        raise InputError(f"--out {out}: this command runs in that folder; name another, such as found")
    above = place.parent
    while not above.exists():
        above = above.parent
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise InputError(f"--out {out}: nothing can be written to {above}")
    return place.relative_to(here) if place.is_relative_to(here) else place
