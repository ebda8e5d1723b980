"""The cache of activations on disk: safetensors shards, parquet indices, and a manifest for each component.

::

    index.parquet                  prompt -> shard and row, length, position; where its tail begins, and the tail's ids
    pairs.parquet                  the table of pairs, with the clean LD of both prompts and whether the pair is kept
    <site>/<shard>.safetensors     x: the activation at the position, [n, d], of every prompt; where a tail starts there
                                   and is longer than one token, of prompts with a tail also tail, [n, tokens, d]
    tail.<block>/<shard>.safetensors   keys and values of the earlier tokens, of prompts that are replayed
    readout/<component>.safetensors    W, where the residual stream sees the component through a matrix
    components/<component>.json    its site, and the hashes of the files that its training reads

A stage of one component depends on the component's manifest, not on the folder: another component may come or go, and
as long as the files named in the manifest stay the same the stage has nothing to do.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import Recording, record
from subspace_illusion.core.sites import Site, mlp_input, residual_after, residual_entering
from subspace_illusion.core.tail import Tail
from subspace_illusion.files import (
    column,
    read_json,
    read_table,
    read_tensors,
    sha256,
    write_json,
    write_table,
    write_tensors,
)

SIDES = ("base", "source")
CLEAN = {"base": "ld", "source": "ld_source"}
"""The columns that hold the clean LD of either prompt of a pair, both in terms of the base's answer and foil."""


def sites_of(component: Site) -> list[Site]:
    """What a component's experiments read: itself, where its replay starts, the residual stream after it, and what an
    MLP reads where it is an MLP's hidden activations (for the random MLPs)."""
    sites = [component, residual_entering(component.start), residual_after(component.block)]
    if component.is_mlp_hidden:
        sites.append(mlp_input(component.block))
    return list(dict.fromkeys(sites))


def starts_of(components: Sequence[Site]) -> list[int]:
    """The blocks from which replays start: those of the components, and those after them, for the residual stream."""
    return sorted({start for site in components for start in (site.start, site.block + 1)})


def shards_of(prompts: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    """Prompts of one length, position and use, so that a shard has one layout.

    Args:
        prompts: Columns ``end, position, has_tail``.
        size: Prompts in one forward pass and one file.
    """
    groups = prompts.groupby(["end", "position", "has_tail"], sort=False)
    return [group.iloc[i : i + size] for _, group in groups for i in range(0, len(group), size)]


def megabytes(model: Model, prompts: pd.DataFrame, components: Sequence[Site], sites: Sequence[Site]) -> float:
    """How large the cache of these prompts will be, from a run of the first one."""
    starts = starts_of(components)
    probe = record(model, column(prompts[:1], "tokens"), sites, tail_from=starts[0])
    assert probe.tail is not None
    per_prompt = sum(x.nbytes for x in probe.activations.values())
    caches = [*probe.tail.keys.values(), *probe.tail.values.values()]
    per_earlier = sum(x.nbytes for x in caches) / max(1, prompts["end"].iloc[0])
    bases = prompts[prompts["has_tail"]]
    later = bases["end"] - (0 if model.whole_prompts else bases["position"])
    per_later = sum(x.nbytes / x.shape[1] for x in (probe.tail.residual[start] for start in starts))
    tails = per_earlier * bases["position"].sum() + per_later * (later + 1)[later > 0].sum()
    return (per_prompt * len(prompts) + tails) / 1e6


def cache_shard(
    folder: Path,
    shard: str,
    model: Model,
    prompts: pd.DataFrame,
    pairs: pd.DataFrame,
    components: Sequence[Site],
    sites: Sequence[Site],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs the prompts of one shard and writes what is kept of them.

    Args:
        folder: The cache.
        shard: The shard's name.
        model: The model.
        prompts: The prompts, all of one layout.
        pairs: All pairs, columns ``pair, base, source, answer_id, foil_id``.
        components: The components that are replayed from.
        sites: Where to read.

    Returns:
        The prompts' rows of the index; and for every pair and side that has its prompt here (``pair``, ``side``) the
        clean logit difference ``ld`` of the base's answer and foil.
    """
    starts = starts_of(components)
    recording = record(
        model,
        column(prompts, "tokens"),
        sites,
        starts[0] if prompts["has_tail"].all() else None,
        position=int(prompts["position"].iloc[0]),
    )
    _write_shard(folder, shard, recording, starts)
    begins = 0 if model.whole_prompts else int(prompts["position"].iloc[0])
    index = dict(shard=shard, row=range(len(prompts)), length=prompts["end"] + 1, position=prompts["position"])
    index |= dict(begins=begins, tokens=[list(ids)[begins:] for ids in prompts["tokens"]])
    rows = dict(zip(prompts["prompt"], range(len(prompts)), strict=True))
    clean = []
    for side in SIDES:
        here = pairs[pairs[side].isin(rows)]
        logits = recording.logits[torch.tensor(here[side].map(rows).to_numpy(dtype=int))]
        answer, foil = (column(here, name).long() for name in ("answer_id", "foil_id"))
        ld = logit_difference(logits, answer, foil).double().numpy()
        clean.append(pd.DataFrame(dict(pair=here["pair"], side=side, ld=ld)))
    return pd.DataFrame(dict(prompt=prompts["prompt"]) | index), pd.concat(clean)


def with_clean(pairs: pd.DataFrame, clean: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The pairs with the clean LD of base (``ld``) and source (``ld_source``), from what ``cache_shard`` gave."""
    wide = pd.concat(clean).pivot(index="pair", columns="side", values="ld").rename(columns=CLEAN)
    return pairs.merge(wide[list(CLEAN.values())], left_on="pair", right_index=True, validate="one_to_one")


def finish_cache(
    folder: Path, model: Model, components: Mapping[str, Site], index: Sequence[pd.DataFrame], pairs: pd.DataFrame
) -> None:
    """Writes the indices, the readout matrices and the manifests, once every shard is there."""
    write_table(folder / "index.parquet", pd.concat(index).sort_values("prompt"))
    write_table(folder / "pairs.parquet", pairs)
    for name, site in components.items():
        if (readout := model.readout(site)) is not None:
            write_tensors(folder / "readout" / f"{name}.safetensors", dict(W=readout))
        _write_manifest(folder, name, site, model)


def _write_shard(folder: Path, shard: str, recording: Recording, starts: Sequence[int]) -> None:
    """Writes one shard of every site, and of every block of the tail if there is one."""
    tail = recording.tail
    streams = {} if tail is None or not tail.ends.any() else {residual_entering(b): tail.residual[b] for b in starts}
    for site, x in recording.activations.items():
        tensors = dict(x=x, tail=streams[site]) if site in streams else dict(x=x)
        write_tensors(folder / site.name / f"{shard}.safetensors", tensors)
    if tail is not None:
        for block, keys in tail.keys.items():
            values = tail.values[block]
            write_tensors(folder / f"tail.{block}" / f"{shard}.safetensors", dict(keys=keys, values=values))


def _write_manifest(folder: Path, name: str, component: Site, model: Model) -> None:
    """Writes what is known of a component, with the hashes of the files that its training reads."""
    parts = [site.name for site in sites_of(component)]
    parts += [f"tail.{block}" for block in range(component.start, model.n_blocks)]
    files = sorted(file for part in parts for file in (folder / part).glob("*.safetensors"))
    readout = folder / "readout" / f"{name}.safetensors"
    files += [readout] if readout.exists() else []
    about = dict(site=component.name, hands_on_alone=model.hands_on_alone(component))
    hashes = {file.relative_to(folder).as_posix(): sha256(file) for file in files}
    write_json(folder / "components" / f"{name}.json", about | dict(files=hashes))


class Activations:
    """Reads the cache. Shards are mapped: rows come from the disk as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = read_table(folder / "index.parquet").set_index("prompt")
        self._open = cache(lambda name: read_tensors(folder / name))
        self.n_blocks = 1 + max((int(path.suffix[1:]) for path in folder.glob("tail.*")), default=-1)
        self._shards = self.index["shard"].unique().tolist()
        self.index["number"] = self.index["shard"].map({shard: i for i, shard in enumerate(self._shards)})

    def site(self, component: str) -> Site:
        """The site of a component."""
        return Site.parse(self._about(component)["site"])

    def hands_on_alone(self, component: str) -> bool:
        """``Model.hands_on_alone`` of a component's site."""
        return bool(self._about(component)["hands_on_alone"])

    def _about(self, component: str) -> dict[str, Any]:
        return read_json(self.folder / "components" / f"{component}.json")

    @property
    def at_end(self) -> bool:
        """Whether every prompt is read at its last token."""
        return bool((self.index["position"] + 1 == self.index["length"]).all())

    def width(self, site: Site) -> int:
        """Dimension d of the activation at a site."""
        return self.at(site, self.index.index[:1].tolist()).shape[-1]

    def at(self, site: Site, prompts: Sequence[int]) -> torch.Tensor:
        """Activations at the position, ``[n, d]``, of prompts in the order given."""
        groups = self._groups(prompts)
        parts = [self._open(f"{site.name}/{shard}.safetensors")["x"][rows] for shard, rows, _ in groups]
        return torch.cat(parts)[torch.cat([places for _, _, places in groups]).argsort()]

    def tail(self, start: int, prompts: Sequence[int]) -> Tail:
        """The tail of base prompts, in the order given, from block ``start`` on."""
        groups = self._groups(prompts)
        found = self.index.loc[list(prompts)]
        lengths, begins, positions = (column(found, name) for name in ("length", "begins", "position"))
        earlier, longest = int(begins.max()), int((lengths - begins).max())
        tokens = [torch.tensor(list(ids)) for ids in found["tokens"]]
        span = None
        if not torch.equal(begins, positions):
            span = torch.arange(int(positions.max()) + 1) == positions[:, None]

        def gathered(block: int, part: str) -> torch.Tensor:
            stored = [(self._open(f"tail.{block}/{shard}.safetensors")[part], *where) for shard, *where in groups]
            _, heads, _, width = stored[0][0].shape
            rows_in_order = torch.zeros(len(prompts), heads, earlier, width)
            for x, rows, places in stored:
                rows_in_order[places, :, earlier - x.shape[2] :] = x[rows]
            return rows_in_order

        def stream() -> torch.Tensor:
            site = residual_entering(start)
            stored = [(self._open(f"{site.name}/{shard}.safetensors"), rows) for shard, rows, _ in groups]
            parts = [(x["tail"][rows] if "tail" in x else x["x"][rows][:, None]) for x, rows in stored]
            padded = torch.cat([pad(x, (0, 0, 0, longest - x.shape[1])) for x in parts])
            return padded[torch.cat([places for _, _, places in groups]).argsort()]

        blocks = range(start, self.n_blocks)
        return Tail(
            lengths,
            begins,
            pad_sequence(tokens, batch_first=True),
            {start: stream()},
            {block: gathered(block, "keys") for block in blocks},
            {block: gathered(block, "values") for block in blocks},
            span=span,
        )

    def tail_lengths(self, prompts: Sequence[int]) -> torch.Tensor:
        """How many tokens the prompts' tails have, ``[n]``, in the order given."""
        found = self.index.loc[list(prompts)]
        return column(found, "length") - column(found, "begins")

    def readout(self, component: str) -> torch.Tensor | None:
        """The component's readout matrix ``[d, d_model]``, or ``None`` where it has none."""
        path = self.folder / "readout" / f"{component}.safetensors"
        return read_tensors(path)["W"] if path.exists() else None

    def _groups(self, prompts: Sequence[int]) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
        """The prompts by shard: the shard, the rows in it, the places in the order given."""
        found = self.index.loc[list(prompts)]
        numbers, rows = column(found, "number"), column(found, "row")
        by_shard = []
        for number in numbers.unique().tolist():
            places = (numbers == number).nonzero().flatten()
            by_shard.append((self._shards[number], rows[places], places))
        return by_shard
