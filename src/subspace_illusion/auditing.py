"""An audit in memory: is this the subspace? From a model, pairs and directions to verdicts, without a pipeline.

The pipeline (``subspace-illusion audit``) trains a subspace beside, runs the controls, caches and compares. This asks
what needs no training: what patching does, whole and by parts, and how far that is the component's own doing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch

from subspace_illusion.core.checkpoints import Tokenizer
from subspace_illusion.core.model import Model, open_model, wrap_bridge
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.files import atomic_write
from subspace_illusion.measures.decompose import Decomposition, classes, decompose
from subspace_illusion.measures.effects import effects
from subspace_illusion.report.page import draw_picture, fill_in
from subspace_illusion.report.section import Grid
from subspace_illusion.report.sections.verdict import evidence_grid, rules, verdict_grid, verdict_picture
from subspace_illusion.report.verdict import reason_of
from subspace_illusion.report.words import in_order, shown
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import SubspaceKey, is_free, with_keys
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.subspace.user_subspaces import read_user_subspace, user_subspace
from subspace_illusion.tasks.pairs_file import pairs_of, read_pairs
from subspace_illusion.tasks.table import DIFFERENT, mark_kept, prompts_of, values_of
from subspace_illusion.tasks.tokenise import LAST, tokenise
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.in_memory import score_in_memory
from subspace_illusion.verdict.judge import Verdict, judge
from subspace_illusion.verdict.rule import SMALLEST_EFFECT
from subspace_illusion.verdict.shipped import read_calibration

BATCH = 32
"""Prompts, and pairs, in one forward pass."""
TOLERANCE = 1e-5
"""Singular values of a readout below this share of the largest count as zero."""
RANDOM = 100
"""Random subspaces behind each baseline of a cosine."""


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        site: The component's name.
        verdicts: By subspace: those that were asked about, and the mean difference.
        effects: What patching did, as ``experiments.evaluate.effects`` gives it.
        decomposition: Row and null part, lent share, cosines.
        pairs: The table of pairs, with what was kept.
        calibration: What planted cases say of the score.
    """

    site: str
    verdicts: Mapping[SubspaceKey, Verdict]
    effects: pd.DataFrame
    decomposition: Decomposition
    pairs: pd.DataFrame
    calibration: Calibration

    def __str__(self) -> str:
        """One line a subspace: its verdict, and why."""
        lines = [
            f"{shown(key)} at {self.site}: {verdict.verdict} ({reason_of(verdict)})"
            for key, verdict in self.verdicts.items()
        ]
        return "\n".join(lines)

    def report(self, path: str | Path) -> None:
        """Writes what was found as one page that opens offline: HTML, or Markdown with its picture beside it.

        Raises:
            InputError: If the name ends in neither ``.html`` nor ``.md``.
        """
        target = Path(path)
        if target.suffix not in (".html", ".md"):
            raise InputError(f"{path}: a report is a file that ends in .html or .md")
        picture = verdict_picture(self.verdicts, self.calibration)
        figures = target.with_name(f"{target.stem}_figures")
        with TemporaryDirectory() as folder:
            draw_picture(picture, Path(folder), dpi=150)
            html, markdown = fill_in(
                "audit",
                Path(folder),
                figures.name,
                site=self.site,
                answer=str(self).splitlines(),
                pairs=f"{self.pairs['kept'].sum()} pairs, {(~self.pairs['kept']).sum()} left out",
                verdicts=verdict_grid(self.verdicts),
                rules=rules(self.verdicts, self.calibration, SMALLEST_EFFECT),
                picture=picture,
                evidence=evidence_grid(self.verdicts),
                tables=self._grids(),
            )
            if target.suffix == ".md":
                figures.mkdir(parents=True, exist_ok=True)
                (figures / f"{picture.name}.png").write_bytes((Path(folder) / f"{picture.name}.png").read_bytes())
        with atomic_write(target) as partial:
            partial.write_text(html if target.suffix == ".html" else markdown, encoding="utf-8")

    def _grids(self) -> dict[str, Grid]:
        """The tables of the page by their heading."""
        patched = with_keys(self.effects)
        patched = patched.set_index("subspace").loc[in_order(patched["subspace"])].reset_index()
        measures = dict(
            effect="effect (LD lost)", fldd="share of the clean LD", whole_share="whole component's over it"
        )
        measures |= dict(row_share="its row part's over it") if "row_share" in patched else {}
        parts, cosines = with_keys(self.decomposition.summary), with_keys(self.decomposition.cosines)
        of_parts = dict(row_norm="norm of the row part", null_norm="of the null part", lent_share="lent share")
        of_parts = {name: words for name, words in of_parts.items() if name in parts}
        return {
            "What patching did": Grid.of(patched, dict(subspace="subspace") | measures, list(measures)),
            "Row part and null part": Grid.of(parts, dict(subspace="subspace") | of_parts, ("lent_share",)),
            "Cosines": Grid.of(cosines, dict(subspace="subspace", other="with", cosine="cosine")),
        }


def audit(
    model: Any,
    pairs: Any,
    site: str,
    subspaces: Mapping[str, Any],
    *,
    position: str | int = LAST,
    source_position: str | int = LAST,
    keep_wrong: bool = False,
    test_share: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
) -> Audit:
    """Asks of subspaces whether they are what the model uses, or an illusion.

    Mean difference, signs and readers come from one half of the pairs (split ``train``), every effect from the other.

    Args:
        model: A folder with a model, a ``TransformerBridge`` in float32 with a tokenizer, which is frozen and put into
            evaluation mode, or what ``open_model`` gives.
        pairs: A file with pairs, or a data frame, or a list of rows: columns ``base``, ``source``, ``base_answer``,
            ``source_answer``, and those of the README, "Your own pairs".
        site: The component, a TransformerBridge hook such as ``blocks.20.mlp.hook_post``.
        subspaces: By label a tensor or array ``[d]``, ``[k, d]`` or ``[d, k]``, or a file as the README lists.
        position: Where the pairs do not say it: ``last``, a token's index, or a text whose last token counts.
        source_position: The same in the sources.
        keep_wrong: Whether to keep the pairs that the model gets wrong.
        test_share: Share of the groups of pairs that effects are measured on, where the pairs have no ``split``.
        resamples: Draws of the bootstrap.
        seed: Seed of the split, the draws and the random subspaces.

    Raises:
        InputError: If the model, the pairs, the site or a subspace is wrong; in one line.
    """
    if not subspaces:
        raise InputError("there is no subspace to audit: give some, by label")
    opened, at = _opened(model), Site.parse(site)
    opened.check(at)
    if wrong := [label for label in subspaces if not is_free(label)]:
        raise InputError(f"'{wrong[0]}' is the name of another way of choosing a subspace: take another label")
    width = opened.width(at)
    bases = {SubspaceKey.user(label): _basis(label, given, width) for label, given in subspaces.items()}
    in_file, name = isinstance(pairs, str | Path), "the pairs"
    raw = read_pairs(Path(pairs)) if in_file else pairs_of(pd.DataFrame(pairs).to_dict("records"), name)
    prompts, listed_pairs = tokenise(
        raw,
        opened.tokenizer,
        position=str(position),
        source_position=str(source_position),
        test_share=test_share,
        seed=seed,
        name=str(pairs) if in_file else name,
    )

    after = residual_after(at.block)
    everything = recorded_pairs(opened, prompts, listed_pairs, [at, after], at.start, BATCH)
    marked = mark_kept(everything.table, keep_wrong, to_keep="keep_wrong=True")
    kept = replace(everything, table=marked).among(marked["kept"].to_numpy())
    train, test = (_of(kept, split, DIFFERENT) for split in ("train", "test"))
    values = values_of(kept.table)

    def by_value(where: Site, pairs: Pairs) -> Any:
        return classes(pairs.prompts, where, prompts_of(prompts, pairs.table), values)

    measured = prompts_of(prompts, test.table)
    rank = max(basis.shape[1] for basis in bases.values())
    result = decompose(
        bases,
        opened.readout(at),
        None,
        by_value(at, _of(kept, "train")),
        by_value(at, test),
        Bootstrap.of(measured["group"].to_numpy(), resamples, seed),
        rank=rank,
        tolerance=TOLERANCE,
        random_directions=RANDOM,
        seed=seed,
    )
    settings: dict[str, Any] = dict(tolerance=TOLERANCE, resamples=resamples, seed=seed, batch=BATCH)
    found = score_in_memory(train, test, at, result.subspaces, rank=rank, **settings)
    did = effects(test, {at.name: found.patched}, Bootstrap.of(test.groups, resamples, seed))
    calibration = read_calibration()
    scores = {key.at(at.name): score for key, score in found.scores.items()}
    return Audit(at.name, judge(scores, calibration, SMALLEST_EFFECT), did, result, marked, calibration)


def _opened(model: Any) -> Model:
    """The model, whatever it is given as."""
    if isinstance(model, Model):
        return model
    if isinstance(model, str | Path):
        return open_model(Path(model))
    if getattr(model, "tokenizer", None) is None or not hasattr(model, "original_model"):
        raise InputError(
            f"a {type(model).__name__} is no model to audit: give a folder, a TransformerBridge with its tokenizer, or "
            "what subspace_illusion.core.model.open_model gives"
        )
    if (dtype := next(model.parameters()).dtype) != torch.float32:
        raise InputError(
            f"the model's weights are {str(dtype).removeprefix('torch.')}: make them float32, model.float()"
        )
    return wrap_bridge(model, Tokenizer(model.tokenizer))


def _basis(label: str, given: Any, width: int) -> torch.Tensor:
    """A subspace, whatever it is given as, as a basis ``[d, k]``."""
    if isinstance(given, str | Path):
        return read_user_subspace(Path(given), width).basis
    return user_subspace(label, torch.as_tensor(given), width).basis


def _of(pairs: Pairs, split: str, *kinds: str) -> Pairs:
    """The pairs of one split, and of some kinds if any are named.

    Raises:
        InputError: If there are none.
    """
    here = pairs.table["split"] == split
    chosen = pairs.among((here & (pairs.table["kind"].isin(kinds) if kinds else True)).to_numpy())
    if not len(chosen):
        raise InputError(f"no {split} pairs are left: give more pairs, or a column split")
    return chosen
