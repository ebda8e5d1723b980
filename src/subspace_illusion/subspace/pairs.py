"""Pairs of prompts with everything that patching them takes, from the cache on disk or recorded in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.activations import CLEAN, SIDES, Activations
from subspace_illusion.core.checkpoints import dtype_name
from subspace_illusion.core.model import Model
from subspace_illusion.core.on_device import Kept, kept
from subspace_illusion.core.outcome import Outcome, logit_difference
from subspace_illusion.core.recorded import MOST, ByToken, Recorded
from subspace_illusion.core.replay import record_in_batches
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import Tail, TailOf
from subspace_illusion.errors import InputError
from subspace_illusion.files import column, read_table
from subspace_illusion.subspace.das import Examples
from subspace_illusion.subspace.patching import Change, Key, along, patch_outcomes
from subspace_illusion.tasks.table import Span, chosen, codes, values_of


class Prompts(Protocol):
    """Where the activations of prompts come from; prompts are named by their number in the table of prompts."""

    def at(self, site: Site, prompts: Sequence[int]) -> torch.Tensor:
        """Activations ``[n, d]``, in the order given."""

    def tail(self, start: int, prompts: Sequence[int]) -> Tail:
        """The tails from block ``start`` on, in the order given."""

    def tail_lengths(self, prompts: Sequence[int]) -> torch.Tensor:
        """How many tokens the tails have, ``[n]``, in the order given."""


@dataclass(frozen=True)
class OnDemand:
    """Activations of prompts at a site, read when rows are asked for by their index, ``[m]`` or of any shape.

    Attributes:
        prompts: Where they come from.
        site: Where.
        numbers: The prompts, ``[n]``.
    """

    prompts: Prompts
    site: Site
    numbers: np.ndarray

    def __getitem__(self, rows: torch.Tensor, /) -> torch.Tensor:
        found = self.prompts.at(self.site, self.numbers[rows.flatten().numpy()].tolist())
        return found.unflatten(0, rows.shape)


@dataclass(frozen=True)
class Pairs:
    """Some pairs and their prompts.

    Attributes:
        model: The model.
        table: The pairs, columns as in ``tasks.table``.
        prompts: Where the activations come from.
        ld_clean: LD of each base without a patch, ``[n]``.
        by_token: Where positions are spans, the activations of each of their tokens; ``prompts`` has the means.
        span: Whether the tokens of a span are patched each from its own (``all``) or all alike (``mean``).
    """

    model: Model
    table: pd.DataFrame
    prompts: Prompts
    ld_clean: np.ndarray
    by_token: Prompts | None = None
    span: Span = "last"

    def __len__(self) -> int:
        return len(self.table)

    def among(self, rows: np.ndarray) -> "Pairs":
        """Those of the pairs for which a boolean is true, ``[n]``."""
        return replace(self, table=self.table[rows].reset_index(drop=True), ld_clean=self.ld_clean[rows])

    @property
    def different(self) -> "Pairs":
        """Those whose source has another value than the base."""
        return self.among((self.table["base_value"] != self.table["source_value"]).to_numpy())

    @cached_property
    def answer(self) -> torch.Tensor:
        """Token ids of the base prompts' answers, ``[n]``, or ``[n, k]`` of several a side (``core.outcome``)."""
        return column(self.table, "answer_id")

    @cached_property
    def foil(self) -> torch.Tensor:
        """Token ids of the base prompts' foils, the same shape."""
        return column(self.table, "foil_id")

    @property
    def targets(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What each base should answer once it has its source's value, of answer and foil the other one, each in the
        shape of these; and whether the first is another than the base's own answer, ``[n]``."""
        target = column(self.table, "target_id")
        changes = (target != self.answer).unsqueeze(-1).flatten(1).any(1)
        return target, self.answer + self.foil - target, changes

    @cached_property
    def groups(self) -> np.ndarray:
        """The group of each pair: what is resampled whole."""
        return self.table["group"].to_numpy()

    @property
    def tokens(self) -> float:
        """How many tokens the base prompts' tails have, on the mean."""
        return float(self.tail_lengths.double().mean())

    @cached_property
    def tail_lengths(self) -> torch.Tensor:
        """How many tokens each base's tail has, ``[n]``."""
        return self.prompts.tail_lengths(self.base_prompts.tolist())

    @property
    def base_prompts(self) -> np.ndarray:
        """Numbers of the base prompts, ``[n]``."""
        return self.table["base"].to_numpy()

    @property
    def source_prompts(self) -> np.ndarray:
        """Numbers of the source prompts, ``[n]``."""
        return self.table["source"].to_numpy()

    @property
    def values(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The variable's value in each base and each source, as its place in the list of all, ``[n]``."""
        listed = values_of(self.table)
        return codes(self.table["base_value"], listed), codes(self.table["source_value"], listed)

    def base(self, site: Site) -> torch.Tensor:
        """Activations of the base prompts at a site, ``[n, d]``."""
        return self.prompts.at(site, self.base_prompts.tolist())

    def source(self, site: Site) -> torch.Tensor:
        """Activations of the sources at a site, ``[n, d]``."""
        return self.prompts.at(site, self.source_prompts.tolist())

    @property
    def token_by_token(self) -> bool:
        """Whether each token of a span is patched from its own in the source."""
        return self.span == "all"

    def ends(self, site: Site) -> tuple[OnDemand, OnDemand]:
        """Activations of the base prompts and of the sources as they are patched, ``[n, d]``, or token by token
        ``[n, longest span, d]``; read as they are asked for, so that memory stays."""
        prompts = self.by_token if self.token_by_token and self.by_token is not None else self.prompts
        return OnDemand(prompts, site, self.base_prompts), OnDemand(prompts, site, self.source_prompts)

    def tail(self, start: int, of_sources: bool = False) -> TailOf:
        """Gives the tail, from block ``start`` on, of some pairs' base prompts (or sources) by their index."""
        numbers = self.source_prompts if of_sources else self.base_prompts
        return lambda rows: self.prompts.tail(start, numbers[rows.numpy()].tolist())

    def along(self, site: Site, basis: torch.Tensor | None) -> Change:
        """What patching along a subspace of the site adds; along all of it where the basis is ``None``."""
        return along(*self.ends(site), basis)

    def patch(
        self,
        site: Site,
        changes: Mapping[Key, Change],
        batch: int,
        on_patch: Callable[[int], object] = lambda pairs: None,
        top1: bool = True,
    ) -> dict[Key, Outcome]:
        """Makes every change at the site, alone, in every pair; ``top1`` as for ``patch_outcomes``."""
        of_bases = self.tail(site.start), self.tail_lengths, self.answer, self.foil
        return patch_outcomes(self.model, site, changes, *of_bases, batch=batch, on_patch=on_patch, top1=top1)

    def examples(self, site: Site) -> Examples:
        """The pairs as DAS learns from them, their activations read as they are asked for; all at once where
        the tails are kept on a GPU."""
        tail = kept(self.tail(site.start), len(self), self.model.device)
        whole = isinstance(tail, Kept) and not self.token_by_token
        base, source = (self.base(site), self.source(site)) if whole else self.ends(site)
        return Examples(base, source, *self.targets, tail, token_by_token=self.token_by_token)


def cached_pairs(model: Model, cache: Path, split: str, *kinds: str, most: int | None = None) -> Pairs:
    """The pairs of one split and some kinds that are kept, at most ``most``, from a folder that ``core.activations``
    describes."""
    table = chosen(kept_pairs(cache), split, *kinds)[:most].reset_index(drop=True)
    return Pairs(model, table, Activations(cache), table["ld"].to_numpy(dtype=float))


def kept_pairs(cache: Path) -> pd.DataFrame:
    """The pairs that experiments are made on, with the clean LD of their base prompts, from a cache of activations."""
    pairs = read_table(cache / "pairs.parquet")
    return pairs[pairs["kept"]].reset_index(drop=True)


def recorded_pairs(
    model: Model,
    prompts: pd.DataFrame,
    table: pd.DataFrame,
    sites: Sequence[Site],
    start: int,
    batch: int,
    span: Span = "last",
    starts: Sequence[int] | None = None,
    most: int = MOST,
) -> Pairs:
    """Pairs whose prompts are run now, with a model that has no cache; the table gets the clean ``ld`` of base
    prompts and ``ld_source`` of sources.

    Args:
        model: The model.
        prompts: The table of prompts.
        table: The pairs.
        sites: Where to read.
        start: The first block that tails hold.
        batch: Prompts at a time.
        span: What of positions that are spans is patched; prompts have a column ``span`` then.
        starts: The blocks that replays start from; by default any from ``start`` on.
        most: Bytes of what is recorded that stay in memory; see ``core.recorded``.

    Raises:
        InputError: If the tokens of spans are to be patched each from its own, in a model that runs whole prompts; if
            logits are no finite numbers; if what is recorded cannot be put away.
    """
    if span == "all" and model.whole_prompts:
        raise InputError(
            "span is all, but not every block of this model keeps keys and values: whole prompts are run, and a span "
            "stands elsewhere in each; take mean, or last"
        )
    table = table.reset_index(drop=True)
    numbers = np.array(sorted({*table["base"], *table["source"]}))
    chosen_prompts = prompts.set_index("prompt").loc[numbers]
    tokens, positions = chosen_prompts["tokens"].tolist(), chosen_prompts["position"].tolist()
    spans = None if span == "last" else chosen_prompts["span"].tolist()
    answer, foil = column(table, "answer_id"), column(table, "foil_id")
    recorded, clean = Recorded(most), {CLEAN[side]: np.empty(len(table)) for side in SIDES}
    for rows, recording in record_in_batches(model, tokens, positions, sites, start, batch, starts, spans):
        here = pd.Index(numbers[rows.numpy()])
        recorded.add(here.tolist(), recording)
        for side in SIDES:
            # Logits of a whole vocabulary are let go with their batch.
            places = here.get_indexer(table[side])
            (of_side,) = np.nonzero(places >= 0)
            logits = recording.logits[torch.from_numpy(places[of_side])]
            clean[CLEAN[side]][of_side] = logit_difference(logits, answer[of_side], foil[of_side]).double().numpy()
    if lacking := int((~np.isfinite(list(clean.values()))).any(axis=0).sum()):
        raise InputError(
            f"in {lacking} of {len(table)} pairs the logits of answers are no finite numbers in "
            f"{dtype_name(model.dtype)}: run the model in float32 (dtype)"
        )
    table = table.assign(**clean)
    by_token = None if spans is None else ByToken(recorded)
    return Pairs(model, table, recorded, table[CLEAN["base"]].to_numpy(), by_token, span)
