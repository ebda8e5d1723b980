"""What is said of each subspace of the user: what its file was taken for, and where the file's own words differ from
what is asked."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from subspace_illusion.core.sites import Site
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.subspace.origin import Origin
from subspace_illusion.subspace.user_subspaces import UserSubspace


def notes_on(
    read: Mapping[str, UserSubspace], sites: Sequence[Site], prompts: pd.DataFrame, tokenizer: Tokenizer
) -> dict[str, str]:
    """A line on each subspace, by its label.

    Args:
        read: The subspaces.
        sites: The components that are asked about.
        prompts: The table of prompts, with ``tokens`` and ``position``.
        tokenizer: The model's.
    """
    told = {}
    for label, subspace in read.items():
        differs = list(_differences(subspace.origin or Origin(), sites, prompts, tokenizer.hf.bos_token_id))
        told[label] = "; ".join([subspace.told, *([f"DIFFERENT HERE: {', '.join(differs)}"] if differs else [])])
    return told


def _differences(origin: Origin, sites: Sequence[Site], prompts: pd.DataFrame, bos: int | None) -> Iterator[str]:
    """In what the run is another than a file says of its directions."""
    asked = sites[0].name if len(sites) == 1 else f"{len(sites)} hooks, {sites[0].name} to {sites[-1].name}"
    if origin.site is not None and any(not _is_same(site, origin.site) for site in sites):
        yield f"the hook is {asked}"
    elif origin.site is None and origin.layer is not None and any(site.block != origin.layer for site in sites):
        yield f"the hook is {asked} (layers may be counted from the embedding)"
    if isinstance(origin.position, int):
        places = [
            place if origin.position >= 0 else place - len(tokens)
            for place, tokens in zip(prompts["position"], prompts["tokens"], strict=True)
        ]
        if other := sorted({place for place in places if place != origin.position}):
            yield f"position {other[0]}{' and others are' if len(other) > 1 else ' is'} read"
    begins = {ids[0] == bos for ids in prompts["tokens"]}
    if origin.bos is not None and begins != {origin.bos}:
        yield f"prompts begin with{'out' if origin.bos else ''} such a token"


def _is_same(one: Site, other: Site) -> bool:
    """Whether two hooks hold the same activation."""
    if one.enters_block and other.enters_block:
        return one.start == other.start
    held = [(site.block, site.readout or site.point, site.head) for site in (one, other)]
    return held[0] == held[1]
