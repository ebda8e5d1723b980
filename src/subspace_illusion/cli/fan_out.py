"""An audit of several components by the workers of a cluster: a unit a component, put together and judged as one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from subspace_illusion.auditing.asked import Asked
from subspace_illusion.auditing.call import audit, said, what_is_done
from subspace_illusion.auditing.configured import Configured
from subspace_illusion.auditing.findings import joined
from subspace_illusion.auditing.given_subspaces import subspaces_of_width
from subspace_illusion.auditing.noted import notes_on
from subspace_illusion.auditing.progress import how_read, say_how_read
from subspace_illusion.auditing.result import Audit
from subspace_illusion.auditing.settings import Settings
from subspace_illusion.core.fetch import open_source
from subspace_illusion.core.sites import Site
from subspace_illusion.pipeline.sections import Compute
from subspace_illusion.pipeline.units import Unit, run_units, unit
from subspace_illusion.subspace.user_subspaces import parse_spec


def audit_by_workers(
    model: str,
    pairs: Path,
    hooks: Sequence[str],
    directions: Mapping[str, str],
    settings: Mapping[str, Any],
    compute: Compute,
) -> Audit:
    """Audits every component in a unit of its own; where there are several, no cases are planted. What is wrong is said
    before a worker starts, as far as that can be told without the model's weights.

    Args:
        model: As ``audit`` takes it; workers must see the same folder.
        pairs: A file, which they must see too.
        hooks: As ``audit`` takes them.
        directions: Files by label, likewise.
        settings: Those of ``audit``.
        compute: Who does it; its store holds what is done until the caller removes it.

    Raises:
        InputError: As ``audit``, or if the cluster is lost.
        KeyboardInterrupt: Where the user stops it, with what is kept, if anything is.
    """
    asked = Asked.given(pairs, directions, settings)
    say_how_read(asked.pairs.about)
    folder, source = open_source(model)
    sites = Configured(folder).check(hooks, directions)
    chosen = asked.settings.planted_at(len(sites))
    words, as_read, tokenizer = asked.read(folder)
    by = f"{compute.workers} processes" if compute.scheduler == "local" else f"the workers of {compute.scheduler}"
    kept = f"what is done is kept in {compute.store}, and the same command goes on from there"
    print(f"{what_is_done(sites, directions, asked.settings)}: by {by}, a component at a time; {kept}")
    print(*how_read(as_read), sep="\n", flush=True)
    try:
        tables = run_units(units_of(folder, pairs, sites, directions, chosen), compute, "component")
    except KeyboardInterrupt as stopped:
        raise KeyboardInterrupt(*([kept] if compute.store.is_dir() else [])) from stopped
    found = [unpacked(packed) for packed in tables]
    width = next(iter(found[0].bases.values())).shape[0]
    notes = notes_on(subspaces_of_width(directions, width), sites, words.prompts, tokenizer)
    for line in said(notes):
        print(line, flush=True)
    # Workers are given the folder, whatever the user named.
    about = {key: value for key, value in found[0].about["model"].items() if key != "path"} | source
    told = {**found[0].about, "model": about, "settings": asked.settings.model_dump(mode="json"), "notes": notes}
    return replace(found[0], **vars(joined(found)), about=told)


def units_of(
    folder: Path, pairs: Path, sites: Sequence[Site], directions: Mapping[str, str], settings: Settings
) -> list[Unit]:
    """The units of an audit, one a component.

    Args:
        folder: The model's.
        pairs: The file of pairs.
        sites: The components.
        directions: Files by label.
        settings: Those of ``audit``.
    """
    seen = {label: str(Path.cwd() / spec) for label, spec in directions.items()}
    read = [folder, pairs, *(parse_spec(spec)[0] for spec in seen.values())]
    given: dict[str, Any] = dict(
        pairs=str(pairs.absolute()), directions=seen, settings=settings.model_dump(mode="json")
    )
    return [
        unit(
            audit_one,
            [path.absolute() for path in read],
            label=site.name,
            model=str(folder.absolute()),
            hook=site.name,
            **given,
        )
        for site in sites
    ]


def audit_one(
    *, model: str, pairs: str, hook: str, directions: Mapping[str, str], settings: Mapping[str, Any]
) -> pd.DataFrame:
    """The audit of one component, packed as a table of files that ``Audit.load`` reads: ``file``, ``content``.

    Args:
        model: A folder.
        pairs: A file.
        hook: The component.
        directions: Files by label.
        settings: Those of ``audit`` as values of JSON.
    """
    with TemporaryDirectory() as folder:
        audit(model, pairs, hook, directions, **settings).write_figures(Path(folder))
        files = sorted(Path(folder).iterdir())
        return pd.DataFrame([dict(file=file.name, content=file.read_bytes()) for file in files])


def unpacked(packed: pd.DataFrame) -> Audit:
    """The audit that ``audit_one`` has packed."""
    with TemporaryDirectory() as folder:
        for file, content in zip(packed["file"], packed["content"], strict=True):
            (Path(folder) / file).write_bytes(content)
        return Audit.load(folder)
