"""The cache of activations on disk: safetensors shards, a parquet index, and a manifest for each component.

::

    index.parquet                  prompt -> shard and row, with the clean logits
    <site>/<shard>.safetensors     x: the activation at END, [n, d], of every prompt
    tail.<block>/<shard>.safetensors   keys and values of the earlier positions, of prompts that are bases
    readout/<component>.safetensors    W, where the residual stream sees the component through a matrix
    components/<component>.json    the hashes of the files that the component's training reads

A stage of one component depends on the component's manifest, not on the folder: another component may come or go, and
as long as the files named in the manifest stay the same the stage has nothing to do.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd
import torch

from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import Recording, Tail, record
from subspace_illusion.core.sites import Site, mlp_input, residual_after, residual_entering
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


def sites_of(component: Site) -> list[Site]:
    """What a component's experiments read at END: itself, where its replay starts, the residual stream after it, and
    what an MLP reads where it is an MLP's hidden activations (for the random MLPs)."""
    sites = [component, residual_entering(component.start), residual_after(component.block)]
    if component.readout == ("mlp", "out"):
        sites.append(mlp_input(component.block))
    return list(dict.fromkeys(sites))


def shards_of(prompts: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    """Prompts of one length and one use, so that a shard has one layout.

    Args:
        prompts: Columns ``split, template, end, is_base``.
        size: Prompts in one forward pass and one file.
    """
    groups = prompts.groupby(["split", "template", "end", "is_base"], sort=False)
    return [group.iloc[i : i + size] for _, group in groups for i in range(0, len(group), size)]


def megabytes(model: Model, prompts: pd.DataFrame, sites: Sequence[Site], tail_from: int) -> float:
    """How large the cache of these prompts will be, from a run of the first one."""
    probe = record(model, column(prompts[:1], "tokens"), sites, tail_from=tail_from)
    assert probe.tail is not None
    per_prompt = sum(x.nbytes for x in probe.activations.values())
    per_token = sum(x.nbytes for x in [*probe.tail.keys.values(), *probe.tail.values.values()]) / prompts["end"].iloc[0]
    return (per_prompt * len(prompts) + per_token * prompts.loc[prompts["is_base"], "end"].sum()) / 1e6


def cache_shard(
    folder: Path, shard: str, model: Model, prompts: pd.DataFrame, sites: Sequence[Site], tail_from: int
) -> pd.DataFrame:
    """Runs the prompts of one shard, writes what is kept of them, and gives their rows of the index."""
    recording = record(model, column(prompts, "tokens"), sites, tail_from if prompts["is_base"].all() else None)
    _write_shard(folder, shard, recording)
    answer, foil = column(prompts, "io_id"), column(prompts, "s_id")
    return pd.DataFrame(
        dict(
            prompt=prompts["prompt"],
            shard=shard,
            row=range(len(prompts)),
            length=prompts["end"] + 1,
            ld=logit_difference(recording.logits, answer, foil).numpy(),
            logit_io=recording.logits.gather(1, answer[:, None])[:, 0].numpy(),
            logit_s=recording.logits.gather(1, foil[:, None])[:, 0].numpy(),
            top1_id=recording.logits.argmax(1).numpy(),
        )
    )


def finish_cache(folder: Path, model: Model, components: Mapping[str, Site], index: Sequence[pd.DataFrame]) -> None:
    """Writes the index, the readout matrices and the manifests, once every shard is there."""
    write_table(folder / "index.parquet", pd.concat(index).sort_values("prompt"))
    for name, site in components.items():
        if (readout := model.readout(site)) is not None:
            write_tensors(folder / "readout" / f"{name}.safetensors", dict(W=readout))
        _write_manifest(folder, name, site, model.n_blocks)


def _write_shard(folder: Path, shard: str, recording: Recording) -> None:
    """Writes one shard of every site, and of every block of the tail if there is one."""
    for site, x in recording.activations.items():
        write_tensors(folder / site.name / f"{shard}.safetensors", dict(x=x))
    if recording.tail is not None:
        for block, keys in recording.tail.keys.items():
            values = recording.tail.values[block]
            write_tensors(folder / f"tail.{block}" / f"{shard}.safetensors", dict(keys=keys, values=values))


def _write_manifest(folder: Path, name: str, component: Site, n_blocks: int) -> None:
    """Writes the hashes of the files that the component's training reads."""
    parts = [site.name for site in sites_of(component)]
    parts += [f"tail.{block}" for block in range(component.start, n_blocks)]
    files = sorted(file for part in parts for file in (folder / part).glob("*.safetensors"))
    readout = folder / "readout" / f"{name}.safetensors"
    files += [readout] if readout.exists() else []
    write_json(
        folder / "components" / f"{name}.json",
        dict(site=component.name, files={file.relative_to(folder).as_posix(): sha256(file) for file in files}),
    )


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
        return Site.parse(read_json(self.folder / "components" / f"{component}.json")["site"])

    def at(self, site: Site, prompts: Sequence[int]) -> torch.Tensor:
        """Activations at END, ``[n, d]``, of prompts in the order given."""
        groups = self._groups(prompts)
        parts = [self._open(f"{site.name}/{shard}.safetensors")["x"][rows] for shard, rows, _ in groups]
        return torch.cat(parts)[torch.cat([places for _, _, places in groups]).argsort()]

    def tail(self, start: int, prompts: Sequence[int]) -> Tail:
        """The tail of base prompts, in the order given, from block ``start`` on."""
        groups = self._groups(prompts)
        lengths = column(self.index.loc[list(prompts)], "length")
        earlier = int(lengths.max()) - 1

        def gathered(block: int, part: str) -> torch.Tensor:
            stored = [(self._open(f"tail.{block}/{shard}.safetensors")[part], *where) for shard, *where in groups]
            _, heads, _, width = stored[0][0].shape
            rows_in_order = torch.zeros(len(prompts), heads, earlier, width)
            for x, rows, places in stored:
                rows_in_order[places, :, earlier - x.shape[2] :] = x[rows]
            return rows_in_order

        blocks = range(start, self.n_blocks)
        return Tail(
            lengths,
            {start: self.at(residual_entering(start), prompts)},
            {block: gathered(block, "keys") for block in blocks},
            {block: gathered(block, "values") for block in blocks},
        )

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
