"""Planted cases made by hand, as the stage plant leaves them."""

import numpy as np
import pandas as pd


def cases(spread: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Eight components; the score falls from 0.8 to 0.1 with the dose, the lent share alone tells nothing."""
    rng = np.random.default_rng(seed)
    rows = []
    for task in ("agreement", "ioi"):
        for block in range(4):
            for dose in (0.0, 0.2, 0.5, 0.8, 1.0):
                methods = [("trained", 0.9), ("probe", 0.2 + 0.8 * dose), ("random", 0.0)]
                for method, effect in [*methods, ("off the route", 0.9)][: 4 if dose == 1 else 3]:
                    seen = 0.0 if method == "off the route" else dose
                    score = float(np.clip(0.8 - 0.7 * seen + rng.normal(0, spread), 0, 1))
                    figures = dict(lent=0.5, lost=score, apart=score, off=score)
                    row = dict(task=task, block=block, kind="MLP", dose=dose, null=0.0, way=method, seed="0")
                    row |= dict(
                        reference_accuracy=0.8,
                        whole_fldd=dose,
                        moved=effect,
                        fldd=effect,
                        fldd_lo=effect - 0.05,
                        fldd_hi=effect + 0.05,
                    )
                    row |= dict(score=score, score_lo=score - 0.02, score_hi=score + 0.02, **figures)
                    row |= dict(figures="lent+lost+apart+off", interchange_accuracy=effect / 2)
                    for name in ("placebo", "arbitrary_labels"):
                        for measure in ("fldd", "accuracy"):
                            row |= {f"{name}_{measure}{end}": 0.01 for end in ("", "_lo", "_hi")}
                    row |= dict(interchange_accuracy_lo=effect / 2 - 0.02, interchange_accuracy_hi=effect / 2 + 0.02)
                    rows.append(row)
    return pd.DataFrame(rows)
