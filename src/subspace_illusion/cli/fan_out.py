"""An audit of several components by the workers of a cluster: a unit a component, put together and judged as one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from subspace_illusion.auditing.call import audit
from subspace_illusion.auditing.findings import joined
from subspace_illusion.auditing.given import given_sites
from subspace_illusion.auditing.result import Audit
from subspace_illusion.auditing.settings import Das
from subspace_illusion.core.checkpoints import read_config
from subspace_illusion.core.fetch import open_source
from subspace_illusion.pipeline.sections import Compute
from subspace_illusion.pipeline.units import run_units, unit
from subspace_illusion.subspace.user_subspaces import parse_spec


def audit_by_workers(
    model: str,
    pairs: Path,
    hooks: Sequence[str],
    directions: Mapping[str, str],
    settings: Mapping[str, Any],
    compute: Compute,
) -> Audit:
    """Audits every component in a unit of its own.

    Args:
        model: As ``audit`` takes it; workers must see the same folder.
        pairs: A file, which they must see too.
        hooks: As ``audit`` takes them.
        directions: Files by label, likewise.
        settings: Those of ``audit``.
        compute: Who does it.

    Raises:
        InputError: As ``audit``, or if the cluster is lost.
    """
    folder, _ = open_source(model)
    sites = given_sites(hooks, read_config(folder).get_text_config().num_hidden_layers)
    plain = {**settings, "das": asdict(settings["das"]), "seeds": list(settings["seeds"])}
    seen = {label: str(Path.cwd() / spec) for label, spec in directions.items()}
    read = [folder, pairs, *(parse_spec(spec)[0] for spec in seen.values())]
    units = [
        unit(
            audit_one,
            [path.absolute() for path in read],
            model=str(folder.absolute()),
            pairs=str(pairs.absolute()),
            hook=site.name,
            directions=seen,
            settings=plain,
        )
        for site in sites
    ]
    found = [unpacked(packed) for packed in run_units(units, compute, "component")]
    return replace(found[0], **vars(joined(found)))


def audit_one(
    *, model: str, pairs: str, hook: str, directions: Mapping[str, str], settings: Mapping[str, Any]
) -> pd.DataFrame:
    """The audit of one component, packed as a table of the files of its folder: ``file``, ``content``.

    Args:
        model: A folder.
        pairs: A file.
        hook: The component.
        directions: Files by label.
        settings: Those of ``audit`` as values of JSON.
    """
    chosen = {**settings, "das": Das(**settings["das"])}
    with TemporaryDirectory() as folder:
        audit(model, pairs, hook, directions, **chosen).save(folder)
        files = sorted(Path(folder).iterdir())
        return pd.DataFrame([dict(file=file.name, content=file.read_bytes()) for file in files])


def unpacked(packed: pd.DataFrame) -> Audit:
    """The audit that ``audit_one`` has packed."""
    with TemporaryDirectory() as folder:
        for file, content in zip(packed["file"], packed["content"], strict=True):
            (Path(folder) / file).write_bytes(content)
        return Audit.load(folder)
