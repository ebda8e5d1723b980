"""The one call: is this the subspace? From a model, pairs, hooks and directions to verdicts, in one process."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pandas as pd

from subspace_illusion.auditing.asked import Asked
from subspace_illusion.auditing.component import Halves, cost_of, look_at
from subspace_illusion.auditing.findings import joined
from subspace_illusion.auditing.fitness import WHOLE_PROMPTS
from subspace_illusion.auditing.given_model import given_model
from subspace_illusion.auditing.given_subspaces import given_sites, given_subspaces
from subspace_illusion.auditing.noted import notes_on
from subspace_illusion.auditing.progress import Progress, how_read, rounded, run_in, say_how_read
from subspace_illusion.auditing.repair import repaired
from subspace_illusion.auditing.result import Audit
from subspace_illusion.auditing.settings import BATCH, LONGEST_PLANTING, Settings
from subspace_illusion.core.activations import starts_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.planting.local import sites_here
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.tasks.table import PAIR_KINDS, mark_kept

SAME = 1e-6
"""The difference, beside the largest activation, up to which two are the same but for rounding."""
PACKAGES = ("torch", "transformers", "transformer-lens")
"""The packages whose versions are noted, besides this one and Python."""


def audit(
    model: Any,
    pairs: Any,
    hook: str | Sequence[str],
    subspaces: Mapping[str, Any] | None = None,
    *,
    progress: bool = False,
    **settings: Any,
) -> Audit:
    """Asks of subspaces whether they are what the model uses, or an illusion.

    Mean difference, DAS and readers come from one half of the pairs (split ``train``), every effect from the other.

    Args:
        model: A folder with a model; a ``TransformerBridge`` with a tokenizer, which is frozen, put into evaluation
            mode and gives its logits in float32 from then on; or what ``open_model`` gives.
        pairs: A file with pairs, a data frame, or a list of rows: columns ``base``, ``source``, ``base_answer``,
            ``source_answer``, and those that docs/inputs.md lists.
        hook: The component, a TransformerBridge hook such as ``blocks.20.mlp.hook_post``; several; or one with ``*``
            for the block, which names one of every block.
        subspaces: By label a tensor or array ``[d]``, ``[k, d]`` or ``[d, k]``, or a file as docs/inputs.md lists.
        progress: Whether to show how far it is.
        settings: Attributes of ``auditing.settings.Settings``, such as ``train=False``.

    Raises:
        InputError: If the model, the pairs, a hook or a subspace is wrong, or the run cannot show that its figures are
            the model's; in one line.
    """
    asked = Asked.given(pairs, subspaces, settings)
    if progress:
        say_how_read(asked.pairs.about)
    words, as_read, tokenizer = asked.read(model)
    prompts, listed = words.prompts, words.pairs
    opened = given_model(model, asked.settings, tokenizer)
    sites = given_sites(hook, opened.model.n_blocks)
    for site in sites:
        opened.model.check(site)
    chosen = asked.settings.planted_at(len(sites))
    read = given_subspaces(asked.subspaces, sites, opened.model)
    notes = notes_on(read, sites, prompts, tokenizer)
    with ThreadPoolExecutor(1) as beside:
        digest = beside.submit(opened.digest)  # large files are read while the model runs
        halves, marked, pace = _halves(opened.model, prompts, listed, sites, chosen)
        sites, empty = _apart(sites, halves)
        bases = {SubspaceKey.user(label): subspace.basis for label, subspace in read.items()}
        planting = pace * sum(cost_of(site, halves, len(bases), chosen).get("planting", 0) for site in sites)
        whether = _planted_or_not(asked.settings, chosen, planting)
        chosen = chosen if planting <= LONGEST_PLANTING else chosen.planting_nothing
        work = sum(sum(cost_of(site, halves, len(bases), chosen).values()) for site in sites)
        if progress:
            first = _first_line(sites, list(read), halves, chosen, work * pace, planting)
            print(first, *how_read(as_read), *said(notes), sep="\n", flush=True)
        with Progress(work, progress) as bar:
            found = joined([look_at(site, halves, bases, chosen, bar) for site in sites])
            about = dict(
                model=dict(opened.about) | dict(sha256=digest.result()),
                pairs=asked.pairs.about,
                reading=as_read.about,
                settings=asked.settings.model_dump(mode="json"),
                versions=_versions(),
                notes=notes,
                planting=whether,
                left_out=[site.name for site in empty],
            )
            read_at = _with_tokens(marked, prompts, opened.model)
            return repaired(Audit(**vars(found), pairs=read_at, about=about), halves, chosen, bar)


def _apart(sites: Sequence[Site], halves: Halves) -> tuple[list[Site], list[Site]]:
    """The components at which base and source differ, and those at which there is nothing to patch.

    Raises:
        InputError: If there is none of the former.
    """
    empty = []
    for site in sites:
        base, source = halves.train.base(site), halves.train.source(site)
        if float((source - base).abs().max()) <= SAME * float(base.abs().max()):
            empty.append(site)
    if len(empty) == len(sites):
        raise InputError(
            f"{sites[0].name}: base and source have the same activation there in every pair, so that a patch changes "
            "nothing; name another hook, or another position"
        )
    return [site for site in sites if site not in empty], empty


def _halves(
    model: Model, prompts: pd.DataFrame, listed: pd.DataFrame, sites: Sequence[Site], settings: Settings
) -> tuple[Halves, pd.DataFrame, float]:
    """The pairs, every prompt run once for all components; the table that says which were kept; and the seconds that a
    token took for a block."""
    planted = [needed for site in sites for needed in sites_here(model, site)] if settings.calibrate else []
    read = list(dict.fromkeys([*sites, *(residual_after(site.block) for site in sites), *planted]))
    start = time.perf_counter()
    starts, most = starts_of(sites), int(1e9 * settings.recorded_gb)
    everything = recorded_pairs(model, prompts, listed, read, starts[0], BATCH, settings.span, starts, most)
    pace = (time.perf_counter() - start) / (model.n_blocks * prompts["tokens"].map(len).sum())
    marked = mark_kept(everything.table, settings.filter_incorrect)
    kept = replace(everything, table=marked).among(marked["kept"].to_numpy())
    train, test = _split(kept, "train", *training_kinds(same_value=True)), _split(kept, "test", *PAIR_KINDS)
    return Halves(train, test, prompts), marked, pace


def _split(pairs: Pairs, split: str, *kinds: str) -> Pairs:
    """The pairs of one split and some kinds; ``mark_kept`` has made sure that there are some."""
    return pairs.among(((pairs.table["split"] == split) & pairs.table["kind"].isin(kinds)).to_numpy())


def _with_tokens(pairs: pd.DataFrame, prompts: pd.DataFrame, model: Model) -> pd.DataFrame:
    """The pairs with their texts and which token was read in base and source; of a span its text and its last token's
    index."""
    by_number = prompts.set_index("prompt")
    spans = by_number["span"] if "span" in by_number else pd.Series(1, by_number.index)
    placed = zip(by_number["tokens"], by_number["position"], spans, strict=True)
    read = [[int(token) for token in ids[last - span + 1 : last + 1]] for ids, last, span in placed]
    words = pd.Series([model.tokenizer.hf.decode(ids) for ids in read], index=by_number.index)
    found = dict(text=by_number["text"], token_index=by_number["position"], token=words)
    sides = {f"{side}_{what}": pairs[side].map(column) for side in ("base", "source") for what, column in found.items()}
    return pairs.assign(**sides)


def _planted_or_not(asked: Settings, chosen: Settings, seconds: float) -> str:
    """Whether cases are planted in the component itself, and why not; empty where nothing can be.

    Args:
        asked: The settings as given.
        chosen: Those for so many components.
        seconds: How long planting takes.
    """
    if not asked.calibrate:
        return "no cases were planted in the component itself, as was asked"
    if not chosen.calibrate:
        return "no cases were planted in the components themselves: they are in one that stands alone, at one token"
    if seconds > LONGEST_PLANTING:
        return f"no cases were planted in the component itself: that would take some {rounded(seconds)} s"
    return "cases were planted in the component itself too" if seconds else ""


def _first_line(
    sites: Sequence[Site],
    labels: Sequence[str],
    halves: Halves,
    settings: Settings,
    seconds: float,
    planting: float,
) -> str:
    """What is done, on what, and how long it takes.

    Args:
        sites: The components.
        labels: Of the user's subspaces.
        halves: The pairs.
        settings: What is made.
        seconds: How long all of it takes.
        planting: How long planting cases takes; 0 where it is not asked for.
    """
    test = halves.test.different.table
    held_out = f"{len(test)} in {test['group'].nunique()} groups held out"
    pairs = f"{len(halves.train.different)} pairs to learn from and {held_out}"
    beside = ""
    if settings.calibrate and planting:
        beside = ", cases planted there among it"
    elif planting:
        beside = f"; no cases are planted there, which would take some {rounded(planting)} s more"
    done = what_is_done(sites, labels, settings) + run_in(halves.train.model.dtype)
    whole = f"; {WHOLE_PROMPTS}" if halves.train.model.whole_prompts else ""
    return f"{done}: {pairs}, some {rounded(seconds)} s{beside}{whole}"


def said(notes: Mapping[str, str]) -> list[str]:
    """The lines on the user's subspaces, as they are printed."""
    return [f"{label}: {note}" for label, note in notes.items()]


def what_is_done(sites: Sequence[Site], labels: Iterable[str], settings: Settings) -> str:
    """What an audit does, as its first line begins."""
    asked = [*labels, *(["what DAS finds"] if settings.train else []), "the mean difference"]
    where = sites[0].name if len(sites) == 1 else f"{len(sites)} components, {sites[0].name} to {sites[-1].name}"
    return f"auditing {', '.join(asked)} at {where}{', with controls' if settings.controls else ''}"


def _versions() -> dict[str, str]:
    python = ".".join(map(str, sys.version_info[:3]))
    return {"subspace-illusion": version("subspace-illusion"), "python": python} | {p: version(p) for p in PACKAGES}
