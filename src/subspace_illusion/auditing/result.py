"""What an audit found: verdicts with their evidence, as tables, as a page, and as a folder that can be read again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from subspace_illusion.auditing.document import (
    FORMAT,
    CalibratedOn,
    Document,
    Figure,
    IntervalOf,
    PairCounts,
    PairsRead,
    ProofOf,
    SubspaceVerdict,
    Zones,
)
from subspace_illusion.auditing.findings import OPTIONAL, PLANTED, REPAIR, TABLES, Findings
from subspace_illusion.auditing.proof import Proof
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.files import (
    atomic_folder,
    check_free,
    read_json,
    read_table,
    sha256,
    write_json,
    write_table,
)
from subspace_illusion.planting.local import intervals_here
from subspace_illusion.report.audit_page import AuditPage, lines, notebook_view, write_page
from subspace_illusion.report.verdict import reason_of
from subspace_illusion.report.words import shown
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.exports import write_for
from subspace_illusion.subspace.keys import ABLATION, POOLED, STEERING, WHOLE, SubspaceKey
from subspace_illusion.subspace.stored import FILE, read_subspaces, write_subspaces
from subspace_illusion.tasks.as_read import AsRead
from subspace_illusion.tasks.table import DIFFERENT, chosen
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.intervals import Intervals
from subspace_illusion.verdict.judge import Verdict, judge
from subspace_illusion.verdict.rule import LIMITS, SMALLEST_EFFECT
from subspace_illusion.verdict.seen import Seen, draws_table, read_seen
from subspace_illusion.verdict.shipped import SHIPPED, read_calibration

VERDICT, REPORT = "verdict.json", "report.html"
PAIRS, SEEN = "pairs", "seen"
"""The tables, besides those of what was found, that the folder of an audit has."""
WRITTEN = (VERDICT, REPORT, FILE, *(f"{name}.parquet" for name in (*TABLES, PAIRS, SEEN)))
"""The files that the folder of an audit may have."""


@dataclass(frozen=True)
class Audit(Findings):
    """What an audit found, and of what.

    Attributes:
        pairs: The table of pairs, with what was kept and which token of base and source was read.
        about: ``model``, ``pairs``, ``reading`` (how these were read), ``settings``, ``versions``; ``notes``, by the
            label of each subspace of the user's what it was taken for; ``planting``, whether cases were planted in the
            component itself; ``left_out``, hooks at which there was nothing to patch; values of JSON.
    """

    pairs: pd.DataFrame
    about: Mapping[str, Any]

    @cached_property
    def calibration(self) -> Calibration:
        """What planted cases elsewhere say."""
        return read_calibration()

    @cached_property
    def here(self) -> Mapping[str, Intervals]:
        """What cases that were planted in a component itself say, by component; of few cases nothing."""
        planted = self.tables.get(PLANTED)
        return {} if planted is None else intervals_here(planted)

    @cached_property
    def verdicts(self) -> Mapping[SubspaceKey, Verdict]:
        """The verdicts by component and subspace."""
        return self.judged(self.seen)

    def judged(self, seen: Mapping[SubspaceKey, Seen]) -> dict[SubspaceKey, Verdict]:
        """The verdicts on any subspaces of the audit's components, from what is seen of them."""
        model = self.calibration.name_of(self.about["model"].get("sha256"))
        return judge(seen, self.calibration.planted, model, SMALLEST_EFFECT, LIMITS, self.here, self.proof.noise)

    @property
    def effects(self) -> pd.DataFrame:
        """What every patch did to held-out pairs, as ``measures.effects.effects`` gives it."""
        return self.tables["effects"]

    @property
    def decomposition(self) -> pd.DataFrame:
        """Row and null part, lent share, cosines with the mean difference, of what was trained and of yours."""
        return self.tables["decomposition"]

    @property
    def controls(self) -> pd.DataFrame | None:
        """The controls; ``None`` where none were made."""
        return self.tables.get("controls")

    @property
    def planted(self) -> pd.DataFrame | None:
        """The cases that were planted in the component itself, as ``planting.local.cases_here`` gives them; ``None``
        where none were."""
        return self.tables.get(PLANTED)

    @property
    def repair(self) -> pd.DataFrame | None:
        """What training again within what acts finds where a subspace is illusory, as ``auditing.repair.repaired``
        gives it; ``None`` where nothing was."""
        return self.tables.get(REPAIR)

    @property
    def document(self) -> Document:
        """All that a program wants, in the form of ``verdict.json``."""
        kept = self.pairs[self.pairs["kept"]]
        train, test = (chosen(kept, split, DIFFERENT) for split in ("train", "test"))
        counts = dict(kept=len(kept), left_out=len(self.pairs) - len(kept), train=len(train), test=len(test))
        return Document(
            format=FORMAT,
            versions=self.about["versions"],
            model=self.about["model"],
            pairs=PairCounts(**counts, test_groups=test["group"].nunique(), source=self.about["pairs"]),
            reading=PairsRead(**self.about["reading"]),
            settings={**self.about["settings"], "hooks": [site.name for site in self.sites]},
            notes=self.about["notes"],
            planting=self.about["planting"],
            left_out=self.about["left_out"],
            remarks=dict(self.remarks),
            proof=ProofOf(**vars(self.proof)),
            calibration=CalibratedOn(
                models=self.calibration.models, tasks=self.calibration.tasks, sha256=sha256(SHIPPED)
            ),
            zones=Zones(**asdict(LIMITS)),
            verdicts=[self._verdict(key, verdict) for key, verdict in self.verdicts.items()],
        )

    def _verdict(self, key: SubspaceKey, verdict: Verdict) -> SubspaceVerdict:
        share, predicted = verdict.share, verdict.predicted
        return SubspaceVerdict(
            hook=key.component,
            subspace=shown(key),
            yours=key.is_user,
            axis=key.axis,
            rank=self._rank(key),
            verdict=verdict.verdict,
            reason=verdict.reason,
            why=reason_of(verdict),
            cautions=list(verdict.cautions),
            effect=_figure(verdict.seen.estimate("fldd")),
            whole_component=_figure(verdict.seen.estimate("whole")),
            mediated_share=_figure(share),
            own_difference_share=_figure(verdict.seen.estimate("own")),
            match=_figure(verdict.seen.estimate("match")),
            interval=None if predicted is None else IntervalOf.told(predicted),
            mean_ablation=_figure(self._effect(key.of_part(ABLATION))),
            steering=_figure(self._effect(key.of_part(STEERING))),
        )

    def _effect(self, key: SubspaceKey) -> Estimate | None:
        """The effect of a patch as a share of the clean LD; ``None`` where it was not made."""
        where = (key.component, key.subspace)
        return Estimate.of(self._pooled.loc[where].to_dict(), "fldd") if where in self._pooled.index else None

    @cached_property
    def _pooled(self) -> pd.DataFrame:
        return self.effects[self.effects["seed"] == POOLED].set_index(["component", "subspace"])

    def _rank(self, key: SubspaceKey) -> int:
        return next(basis.shape[1] for single, basis in self.bases.items() if single.pooled == key)

    @property
    def by_block(self) -> pd.DataFrame | None:
        """The map, a row a component and subspace: ``hook``, ``block``, ``subspace``, ``effect`` (a share of the clean
        LD) and ``verdict``, empty for the whole component; ``None`` of one component."""
        if len(self.sites) < 2:
            return None
        fldd, rows = self._pooled["fldd"], []
        for site in self.sites:
            verdicts = {key: verdict.verdict for key, verdict in self.verdicts.items() if key.component == site.name}
            for key, verdict in ({WHOLE: ""} | verdicts).items():
                effect = fldd[site.name, key.subspace]
                about = dict(hook=site.name, block=site.block, subspace=key.subspace)
                rows.append(about | dict(effect=effect, verdict=verdict))
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        """Each verdict, and its evidence in a line."""
        return "\n".join(lines(self._page))

    def __repr__(self) -> str:
        """The same: what a shell shows."""
        return str(self)

    def _repr_html_(self) -> str:
        """The verdicts as a notebook shows them."""
        return notebook_view(self._page)

    @cached_property
    def _page(self) -> AuditPage:
        return AuditPage(
            pairs=self.pairs,
            tables=self.tables,
            verdicts=self.verdicts,
            calibration=self.calibration,
            by_block=self.by_block,
            proof=vars(self.proof),
            remarks=self.remarks,
            about=self.about,
            reading=AsRead.told(self.about["reading"]),
        )

    def report(self, path: str | Path) -> None:
        """Writes what was found as one page that opens offline: HTML, or Markdown with its pictures beside it.

        Raises:
            InputError: If the name ends in neither ``.html`` nor ``.md``.
        """
        target = Path(path)
        if target.suffix not in (".html", ".md"):
            raise InputError(f"{path}: a report is a file that ends in .html or .md")
        write_page(self._page, target)

    def save(self, folder: str | Path, force: bool = False) -> None:
        """Writes what was found into a folder, whole or not at all: ``verdict.json``, ``report.html``, the tables in
        parquet, ``subspaces.safetensors``.

        Args:
            folder: Where to.
            force: Whether a folder of an audit that is there makes room.

        Raises:
            InputError: If there is something else in that place.
        """
        target = Path(folder)
        check_free(target, WRITTEN, force)
        with atomic_folder(target) as partial:
            self.write_figures(partial)
            self.report(partial / REPORT)

    def export(self, tool: str, folder: str | Path) -> None:
        """Writes what was trained, of every component and seed, as files for another tool, whole or not at all.

        Args:
            tool: ``transformer_lens``, ``pyvene``, ``saelens`` or ``gguf``.
            folder: Where to; it must not be there.

        Raises:
            InputError: If nothing was trained, the tool is unknown or takes no such subspace, or the folder is there.
        """
        trained = {key: basis for key, basis in self.bases.items() if key.is_trained}
        if not trained:
            raise InputError("this audit has trained nothing, so there is nothing to write: run it with training")
        if Path(folder).exists():
            raise InputError(f"{folder} is there already: name a folder that is not")
        with atomic_folder(Path(folder)) as partial:
            write_for(tool, partial, trained, self.about["model"])

    def write_figures(self, folder: Path) -> None:
        """Writes all that ``load`` reads into a folder that is there: what ``save`` does, without the page."""
        write_json(folder / VERDICT, self.document.model_dump(mode="json"))
        tables = {**self.tables, PAIRS: self.pairs, SEEN: draws_table(self.seen)}
        for name, found in tables.items():
            write_table(folder / f"{name}.parquet", found)
        write_subspaces(folder, self.bases)

    @classmethod
    def load(cls, folder: str | Path) -> "Audit":
        """Reads what ``save`` wrote.

        Raises:
            InputError: If the folder holds no audit, one of another form, or not all of it.
        """
        source = Path(folder)
        if not (source / VERDICT).is_file():
            raise InputError(f"{folder} holds no audit: it has no {VERDICT}")
        try:
            document = Document.model_validate(read_json(source / VERDICT))
            sites = [Site.parse(hook) for hook in document.settings["hooks"]]
        except (ValidationError, KeyError, TypeError) as error:
            raise InputError(
                f"{source / VERDICT} is not of the form {FORMAT}: it was written by another version, or changed"
            ) from error
        needed = [FILE, *(f"{name}.parquet" for name in (*TABLES, PAIRS, SEEN) if name not in OPTIONAL)]
        if missing := [name for name in needed if not (source / name).is_file()]:
            raise InputError(f"{folder} holds no whole audit: it has no {missing[0]}")
        files = [source / f"{name}.parquet" for name in (*TABLES, PAIRS, SEEN)]
        tables = {file.stem: read_table(file) for file in files if file.is_file()}
        return cls(
            sites=sites,
            pairs=tables.pop(PAIRS),
            seen=read_seen(tables.pop(SEEN)),
            tables={name: tables[name] for name in TABLES if name in tables},
            bases=read_subspaces(source),
            proof=Proof(**document.proof.model_dump()),
            remarks=document.remarks,
            about=dict(
                model=document.model,
                pairs=document.pairs.source,
                reading=document.reading.model_dump(),
                settings=document.settings,
                versions=document.versions,
                notes=document.notes,
                planting=document.planting,
                left_out=document.left_out,
            ),
        )


def _figure(estimate: Estimate | None) -> Figure | None:
    if estimate is None:
        return None
    return Figure(value=estimate.value, low=estimate.low, high=estimate.high)
