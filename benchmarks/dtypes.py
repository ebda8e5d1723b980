"""What bfloat16 changes in verdicts: the subspaces of a finished run, judged with the model in float32 and in bfloat16.

    python benchmarks/dtypes.py RUN [--groups N]

RUN is a folder in which make repro was run. Its first held-out groups are read as a user's pairs, of which an audit
keeps half for what it fits; the first trained subspace of every component is given to it as it is. Writes
benchmarks/results/dtypes.csv: a row a subspace of a component, what is said in either dtype side by side.
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml

from subspace_illusion import Audit, audit
from subspace_illusion.files import read_tensors, write_table

TABLE = Path(__file__).parent / "results/dtypes.csv"
DTYPES = ("float32", "bfloat16")


def pairs_of(run: Path, groups: int) -> pd.DataFrame:
    """The held-out pairs of different values of some groups, as a table that an audit reads."""
    prompts, pairs = (pd.read_parquet(run / f"data/{name}.parquet") for name in ("prompts", "pairs"))
    pairs = pairs[(pairs["split"] == "test") & (pairs["kind"] == "different value")]
    pairs = pairs[pairs["group"].isin(pairs["group"].unique()[:groups])]
    prompts = prompts.set_index("prompt")
    base, source = (prompts.loc[pairs[side]] for side in ("base", "source"))
    return pd.DataFrame(
        dict(
            base=base["text"].to_numpy(),
            source=source["text"].to_numpy(),
            base_answer=base["io"].to_numpy(),
            source_answer=source["io"].to_numpy(),
            foil=base["s"].to_numpy(),
            value=pairs["base_value"].to_numpy(),
            source_value=pairs["source_value"].to_numpy(),
            group=pairs["group"].to_numpy(),
        )
    )


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
    parser.add_argument("run", type=Path, help="a folder in which make repro was run")
    parser.add_argument("--groups", type=int, default=60)
    options = parser.parse_args()
    pairs = pairs_of(options.run, options.groups)
    components = yaml.safe_load((options.run / "params.yaml").read_text(encoding="utf-8"))["components"]
    made = dict(train=False, controls=False, calibrate=False)
    found: list[pd.DataFrame] = []
    for component, asked in components.items():
        trained = read_tensors(options.run / f"data/subspaces/{component}/subspaces.safetensors")["trained:0"]
        where = str(options.run / "data/model"), pairs, asked["hook"], {"DAS": trained}
        exact, rounded = (said(audit(*where, dtype=dtype, **made), dtype) for dtype in DTYPES)
        found.append(exact.drop(columns="noise_float32").join(rounded))
        print(found[-1].to_string(), flush=True)
        write_table(TABLE, pd.concat(found).reset_index())


if __name__ == "__main__":
    main()
