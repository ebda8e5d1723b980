"""Where does a variable live in a model? Every component of every block patched whole on a user's pairs (E2)."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.auditing.fitness import check_replays, replays
from subspace_illusion.auditing.given_model import given_model, given_tokenizer
from subspace_illusion.auditing.given_pairs import given_pairs
from subspace_illusion.auditing.progress import Progress, how_read, rounded, run_in, say_how_read
from subspace_illusion.auditing.settings import Reading
from subspace_illusion.core.checkpoints import dtype_name
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.files import atomic_folder, check_free, write_json, write_table
from subspace_illusion.measures.localise import (
    RESIDUAL,
    RULE_IN_WORDS,
    Window,
    all_sites,
    localise,
    map_tokens,
    swaps_of,
    window_of,
)
from subspace_illusion.report.localise_page import write_localise_page
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.pairs import recorded_pairs
from subspace_illusion.tasks.as_read import AsRead
from subspace_illusion.tasks.table import DIFFERENT, chosen, mark_kept
from subspace_illusion.verdict.rule import SMALLEST_EFFECT, is_large

BATCH = 16
"""Pairs at a time, every component of a block of them."""
MAPPED = 12
"""Training pairs, of those that components are patched in, that every kind of token is patched in too."""
ONE_TOKEN = "localise reads and patches the last token of a text, whatever span is; an audit does as it says"
"""What is said where a span is given."""
WRITTEN = WINDOW, COMPONENTS, TOKENS, REPORT = "window.json", "components.csv", "tokens.csv", "report.html"
SUGGESTED = 4
"""MLPs that are suggested, spread over those between the block that writes and the one that reads."""


@dataclass(frozen=True)
class Localised:
    """Where a variable lives.

    Attributes:
        components: What patching every component whole did, as ``measures.localise.localise`` gives it.
        tokens: What patching the residual stream at one kind of token at a time did, as ``map_tokens`` gives it.
        window: Which block writes the variable, which reads it, and the MLPs between.
        pairs: How many training pairs it was measured on.
        as_read: How the pairs were read.
        dtype: What the model ran in.
    """

    components: pd.DataFrame
    tokens: pd.DataFrame
    window: Window
    pairs: int
    as_read: AsRead
    dtype: str = "float32"

    def __str__(self) -> str:
        if not self.carried:
            return (
                f"On {self.pairs} pairs, patching the whole residual stream at this token changes the logit difference "
                f"nowhere by {SMALLEST_EFFECT:g} of the clean one: the variable is not read from there."
            )
        shares = self.tokens.pivot(index="block", columns="tokens", values="fldd").round(2)
        return (
            f"Share of the clean logit difference lost, the residual stream patched by kind of token:\n\n{shares}\n\n"
            f"On {self.pairs} pairs: {self.window}.\n"
            f"Worth an audit: {' '.join(f'--hook {site.name}' for site in self.suggested)}"
        )

    @property
    def carried(self) -> bool:
        """Whether the residual stream at the token carries the variable after some block: the whole interval of its
        effect is beyond the smallest that is judged."""
        streams = self.components[self.components["kind"] == RESIDUAL]
        shares = [Estimate.of(row, "fldd") for row in streams.to_dict("records")]
        return any(is_large(share, SMALLEST_EFFECT) for share in shares if share is not None)

    @property
    def suggested(self) -> list[Site]:
        """The residual stream after the block that writes, and some of the MLPs that lie between."""
        step = max(1, -(-len(self.mlps) // SUGGESTED))
        return [residual_after(max(self.window.writes, 0)), *self.mlps[::step]]

    @property
    def mlps(self) -> list[Site]:
        """The MLPs between, of experts what they give."""
        there = set(self.components["site"])
        sites = ([Site(block, point) for point in ("mlp.hook_post", "hook_mlp_out")] for block in self.window.mlps)
        return [found[0] for of_block in sites if (found := [site for site in of_block if site.name in there])]

    def save(self, folder: str | Path, force: bool = False) -> None:
        """Writes what was found into a folder, whole or not at all: ``window.json``, ``report.html`` and the tables.

        Raises:
            InputError: If there is something else in that place.
        """
        check_free(Path(folder), WRITTEN, force)
        with atomic_folder(Path(folder)) as partial:
            about = dict(rule=RULE_IN_WORDS, pairs=self.pairs, dtype=self.dtype, reading=self.as_read.about)
            about |= vars(self.window)
            write_json(partial / WINDOW, about)
            write_table(partial / COMPONENTS, self.components)
            write_table(partial / TOKENS, self.tokens)
            said = "\n".join([str(self), "", *how_read(self.as_read)])
            write_localise_page(said, self.components, self.tokens, self.window, partial / REPORT)


def localise_variable(
    model: Any,
    pairs: Any,
    *,
    most: int,
    resamples: int = 2000,
    progress: bool = False,
    **reading: Any,
) -> Localised:
    """Patches every component of every block whole, and the residual stream at every kind of token.

    Args:
        model: As ``audit`` takes it.
        pairs: Likewise; some of those of the split ``train`` are patched.
        most: Pairs at most.
        resamples: Draws of the bootstrap.
        progress: Whether to show how far it is.
        reading: Attributes of ``auditing.settings.Reading``, such as ``position="last"``.

    Raises:
        InputError: If the model or the pairs are wrong; in one line.
    """
    asked = Reading.given(reading)
    given = given_pairs(pairs, asked)
    if progress:
        say_how_read(given.about)
    tokenizer, said = given_tokenizer(model, asked.bos)
    said += [ONE_TOKEN] if asked.span != "last" else []
    words, as_read = given.read(tokenizer, asked, test_share=0.5, said=said)
    prompts = words.prompts
    opened = given_model(model, asked, tokenizer).model
    check_replays(replays(opened), opened)
    end = residual_after(opened.n_blocks - 1)
    start = time.perf_counter()
    everything = recorded_pairs(opened, prompts, words.pairs, [end], end.start, BATCH)
    run_of_prompts = time.perf_counter() - start
    marked = mark_kept(everything.table, asked.filter_incorrect)
    some = chosen(marked[marked["kept"]], "train", DIFFERENT)[:most].reset_index(drop=True)
    mapped = some[:MAPPED]
    swaps = swaps_of(prompts, mapped)
    kinds, sites = sum(map(len, swaps.values())), sum(map(len, all_sites(opened)))
    if progress:
        # Every site replays half of the blocks, on the mean, of a part of the tokens.
        seconds = run_of_prompts / len(prompts) * (len(some) * sites / 4 + kinds * opened.n_blocks / 2)
        about = f"patching {sites} components whole on {len(some)} training pairs, and each kind of token"
        first = f"{about}{run_in(opened.dtype)}, some {rounded(seconds)} s"
        print(first, *how_read(as_read), sep="\n", flush=True)
    settings = dict(batch=BATCH, resamples=resamples, seed=asked.seed)
    with Progress(len(some) + kinds, progress) as bar:
        with bar.phase("every component", len(some), -(-len(some) // BATCH)) as part_done:
            found = localise(opened, prompts, some, on_pairs=part_done, **settings)
        with bar.phase("every kind of token", kinds, len(swaps)) as part_done:
            tokens = map_tokens(opened, mapped, swaps, on_pairs=part_done, **settings)
    window = window_of(found, opened.parallel_blocks)
    return Localised(found, tokens, window, len(some), as_read, dtype_name(opened.dtype))
