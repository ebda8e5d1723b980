"""How do statements with labels become pairs? Makes pairs of rows that are alike in a column and differ in the label.

A row's text is the prompt, with --ask behind it; its label tells what the model should answer (--answers), unless a
column says it (--columns answer=...). What is written is a table that audit and localise take.

  subspace-illusion pairs cities.csv --match country --answers 0=False,1=True --out pairs.csv
"""

import argparse
from pathlib import Path

from subspace_illusion.cli.arguments import add_columns, assignments
from subspace_illusion.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("file", type=Path, help="statements with labels: parquet, csv, tsv, jsonl or json")
    parser.add_argument(
        "--match", required=True, action="append", metavar="COLUMN", help="in which a pair's rows are alike; may be "
        "given several times"
    )  # fmt: skip
    parser.add_argument(
        "--answers", type=assignments, default={}, metavar="LABEL=ANSWER,...", help="what the model should answer"
    )
    parser.add_argument("--ask", default="", metavar="TEXT", help="put behind every text, such as ' True or false?'")
    add_columns(parser, "text=claim,label=is_true,answer=says")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="for the pairs: csv or parquet")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def run(options: argparse.Namespace) -> None:
    """Makes the pairs and writes them.

    Raises:
        InputError: If something that was given is wrong, or no rows can be paired.
    """
    from subspace_illusion.files import write_table
    from subspace_illusion.tasks.naming import Naming
    from subspace_illusion.tasks.rows import read_rows
    from subspace_illusion.tasks.statements import pairs_of_statements

    if options.out.suffix not in (".csv", ".parquet"):
        raise InputError(f"--out {options.out}: the name of a table ends in .csv or .parquet")
    if options.out.exists() and not options.force:
        raise InputError(f"--out {options.out} is there already: name another file, or add --force to replace it")
    naming = Naming(str(options.file), options.columns)
    made = pairs_of_statements(read_rows(options.file), naming, options.match, options.answers, options.ask)
    write_table(options.out, made.table)
    first = made.table.iloc[0]
    alike = " and ".join(options.match)
    differ = f", which also differ in {' and '.join(made.differ)}" if made.differ else ""
    alone = f"; {made.alone} rows have no partner and are left out" if made.alone else ""
    print(
        f"{options.out}: {len(made.table)} pairs of rows of {options.file} that are alike in {alike} and have "
        f"different labels{differ}{alone}\nthe first: {first['base']!r} -> {first['base_answer']!r}, "
        f"{first['source']!r} -> {first['source_answer']!r}"
    )
