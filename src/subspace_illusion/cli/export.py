"""How do other tools get what an audit has trained? Writes it as files for them.

--as transformer_lens: a basis for SubspaceInterchange. pyvene: the state of a LowRankRotatedSpaceIntervention.
saelens: an SAE whose reconstruction is the projection on the subspace. gguf: a control vector, of directions of the
residual stream.

  subspace-illusion export my-audit --as saelens --out sae
"""

import argparse
from pathlib import Path

from subspace_illusion.cli.arguments import free_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("audit", metavar="DIR", help="the folder of an audit")
    parser.add_argument("--as", dest="tool", required=True, metavar="TOOL", help="whom the files are for")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a folder for them that is not there")


def run(options: argparse.Namespace) -> None:
    """Writes the files.

    Raises:
        InputError: If there is no such audit, it has trained nothing, or the tool takes no such subspace.
    """
    from subspace_illusion.auditing.result import Audit

    Audit.load(options.audit).export(options.tool, free_place(options.out))
    print(f"{options.out} has what {options.audit} trained, for {options.tool}")
