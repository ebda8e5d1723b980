"""What bfloat16 changes in verdicts: the same audits with a model's weights in float32 and in bfloat16.

    python benchmarks/dtypes.py MODEL PAIRS HOOK [HOOK ...] [--steps N]

Writes benchmarks/results/dtypes.csv: a row a subspace of a component, what is said in either dtype side by side.
"""

import argparse
from pathlib import Path

import pandas as pd

from subspace_illusion import Audit, audit
from subspace_illusion.files import write_table

TABLE = Path(__file__).parent / "results/dtypes.csv"
DTYPES = ("float32", "bfloat16")


def said(found: Audit, dtype: str) -> pd.DataFrame:
    """Verdict, effect and mediated share of every subspace, and the noise, in columns that name the dtype."""
    rows = []
    for one in found.document.verdicts:
        share = None if one.mediated_share is None else round(one.mediated_share.value, 3)
        about = dict(verdict=one.verdict, effect=round(one.effect.value, 4), share=share, noise=found.proof.noise)
        rows.append(dict(hook=one.hook, subspace=one.subspace) | {f"{name}_{dtype}": x for name, x in about.items()})
    return pd.DataFrame(rows).set_index(["hook", "subspace"])


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder")
    parser.add_argument("pairs", help="a table")
    parser.add_argument("hooks", nargs="+")
    parser.add_argument("--steps", type=int, default=10, help="of DAS")
    options = parser.parse_args()
    made = dict(controls=False, calibrate=False, das=dict(steps=options.steps))
    found: list[pd.DataFrame] = []
    for hook in options.hooks:
        exact, rounded = (
            said(audit(options.model, options.pairs, hook, dtype=dtype, **made), dtype) for dtype in DTYPES
        )
        found.append(exact.drop(columns="noise_float32").join(rounded))
        print(found[-1].to_string(), flush=True)
        write_table(TABLE, pd.concat(found).reset_index())


if __name__ == "__main__":
    main()
