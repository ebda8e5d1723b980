"""Controls (E12): what patching and training do where there is nothing to find. See also random_model.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import closeness, random_basis
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.sites import Site
from subspace_illusion.statistics import Bootstrap, interval, summarise, table
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.das import Examples, Trained, late_accuracy, train_das
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change
from subspace_illusion.tasks.table import DIFFERENT, DIFFERENT_UNRELATED, PAIR_KINDS, SAME

RANDOM_DIRECTION = "random direction"
PLACEBO = "norm-matched placebo"
ON_ARBITRARY = "DAS on arbitrary labels"
ON_ARBITRARY_SAME = "the same, same value"
DIFFERENT_ONLY = "DAS on pairs of different values alone"
SELF = "patch from itself"
SAME_VALUE = "same value, unrelated words"
UNRELATED = "different value, unrelated words"
RANDOM_MODEL = "DAS on a random model"
RANDOM_MODEL_WHOLE = "whole residual stream of that model"

DRAWN = (RANDOM_DIRECTION, PLACEBO, ON_ARBITRARY, ON_ARBITRARY_SAME)
"""The controls of random draws: of subspaces, of a placebo's place, of labels. The others' seeds are training seeds."""

OF_USER = "; "
"""Between the name of a control and that of the user's own subspace that it is one of."""

TRAIN = "train"
"""Among the sets of pairs that are patched, those that were trained on; the others are held-out pairs of one kind."""

NEAR = 1.0
"""A logit difference of less is near zero: the likelier name is less than e times as likely as the other."""


REPLAY_ROUNDING = 1e-3
"""What is less of a logit difference, float32 can leave between a replay and the full run."""


def placebo(base: torch.Tensor, source: torch.Tensor, basis: torch.Tensor, elsewhere: torch.Tensor) -> Change:
    """A change as large as patching along a subspace, pair for pair, but along another one.

    Args:
        base: Activations of the base prompts, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        basis: The subspace, ``[d, k]``.
        elsewhere: The other subspace, ``[d, k]``.
    """
    coordinates = (source - base) @ basis
    return lambda rows: coordinates[rows] @ elsewhere.mT


def of_user(control: str, key: SubspaceKey) -> str:
    """The name of a control of the user's own subspace."""
    return f"{control}{OF_USER}{key.subspace}"


def random_bases(d: int, k: int, count: int, seed: int, purpose: str) -> list[torch.Tensor]:
    """Bases of ``count`` random subspaces, each ``[d, k]``."""
    return [random_basis(d, k, seed, purpose, draw) for draw in range(count)]


def arbitrary_labels(examples: Examples, seeds: Sequence[int]) -> Examples:
    """The same pairs, but which of the two names each should give is tossed up, once for each seed.

    Nothing tells the pairs that should change from those that should not, so what is learnt is learnt by heart.
    """
    n = examples.changes.shape[-1]
    tosses = [torch.rand(n, generator=torch_generator(seed, "arbitrary labels")) for seed in seeds]
    swap = torch.stack(tosses) < 0.5
    of_ids = swap[(..., *[None] * (examples.shared_dims - 1))]
    target = torch.where(of_ids, examples.other_id, examples.target_id)
    other = torch.where(of_ids, examples.target_id, examples.other_id)
    return replace(examples, target_id=target, other_id=other, changes=examples.changes ^ swap)


def tossed(n: int, seed: int, draws: int, kind: str) -> np.ndarray:
    """Labels for held-out pairs of one kind, whether each asks for the answer, ``[draws, n]``."""
    generators = [torch_generator(seed, "held-out labels", kind, draw) for draw in range(draws)]
    return torch.stack([torch.rand(n, generator=generator) < 0.5 for generator in generators]).numpy()


def of_kind(pairs: Pairs, kind: str) -> Pairs:
    """Those of the pairs that are of one kind."""
    return pairs.among((pairs.table["kind"] == kind).to_numpy())


@dataclass(frozen=True)
class Learnt:
    """What DAS learnt where it should find nothing, or something else.

    Attributes:
        runs: By control: on labels that were tossed up and, where the trained subspace saw pairs of one value too, on
            pairs of different values alone.
        answers: Whether the label of each training pair asks for the base's own answer, ``[draws, pairs]``.
    """

    runs: Mapping[str, Trained]
    answers: np.ndarray


def learn(
    site: Site,
    train: Pairs,
    *,
    rank: int,
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    on_step: Callable[[float], None] = lambda loss: None,
) -> Learnt:
    """Trains the controls that have to be trained.

    Args:
        site: Where the subspaces live.
        train: The pairs that the trained subspace was trained on.
        rank: Dimension of the subspaces.
        seeds: Seeds of labels and training.
        settings: How a DAS run goes.
        on_step: Told the mean loss after every training step.
    """
    arbitrary = arbitrary_labels(train.examples(site), seeds)
    examples = {ON_ARBITRARY: arbitrary}
    if _trains_same(train):
        examples[DIFFERENT_ONLY] = of_kind(train, DIFFERENT).examples(site)
    runs = {
        control: train_das(train.model, site, of_control, rank=rank, seeds=list(seeds), on_step=on_step, **settings)
        for control, of_control in examples.items()
    }
    return Learnt(runs, (~arbitrary.changes).numpy())


@dataclass(frozen=True)
class Tried:
    """The patches to make.

    Attributes:
        site: Where.
        pairs: Held-out pairs by kind, and the training pairs.
        changes: What to do to which of them: by set of pairs and control, one change a draw.
        bases: The subspaces of the controls that have some of their own.
        users: The user's own subspaces.
    """

    site: Site
    pairs: Mapping[str, Pairs]
    changes: Mapping[str, Mapping[str, Sequence[Change]]]
    bases: Mapping[str, Sequence[torch.Tensor]]
    users: Sequence[SubspaceKey]

    @property
    def count(self) -> int:
        """How many pairs are patched, all together."""
        return sum(
            len(self.pairs[where]) * sum(map(len, of_pairs.values())) for where, of_pairs in self.changes.items()
        )

    def patch(self, batch: int, on_patch: Callable[[int], object]) -> dict[tuple[str, str], Outcome]:
        """The outcomes of all draws by set of pairs and control."""
        found = {}
        for where, of_pairs in self.changes.items():
            flat = {(control, i): change for control, listed in of_pairs.items() for i, change in enumerate(listed)}
            outcomes = self.pairs[where].patch(self.site, flat, batch, on_patch)
            for control in of_pairs:
                found[where, control] = Outcome.pooled([o for (name, _), o in outcomes.items() if name == control])
        # A bootstrap of rounding would pass for an interval.
        itself, clean = found[DIFFERENT, SELF], self.pairs[DIFFERENT].ld_clean
        ld = np.where(np.abs(itself.ld - clean) < REPLAY_ROUNDING, clean, itself.ld)
        return found | {(DIFFERENT, SELF): replace(itself, ld=ld)}


def make_changes(
    site: Site,
    train: Pairs,
    test: Pairs,
    trained: Sequence[torch.Tensor],
    users: Mapping[SubspaceKey, torch.Tensor],
    learnt: Learnt,
    random: Callable[[int], Sequence[torch.Tensor]],
) -> Tried:
    """The patches of every control.

    Args:
        site: Where.
        train: The pairs that the trained subspace was trained on.
        test: Held-out pairs of every kind.
        trained: The trained subspaces, one a seed; none where nothing was trained.
        users: The user's own.
        learnt: What the controls learnt.
        random: Gives random subspaces of a rank; a placebo puts the change along a subspace (of those trained, the
            first) there.
    """
    pairs = {kind: of_kind(test, kind) for kind in PAIR_KINDS if (test.table["kind"] == kind).any()} | {TRAIN: train}
    first = [*trained, *users.values()][0]
    of_first = random(first.shape[1])
    bases: dict[str, Sequence[torch.Tensor]] = {TRAINED: trained} if trained else {}
    bases |= {key.subspace: [basis] for key, basis in users.items()}
    bases |= {control: list(run.bases) for control, run in learnt.runs.items()}
    bases[RANDOM_DIRECTION] = of_first
    arbitrary = bases.get(ON_ARBITRARY, [])

    def along(where: str, listed: Sequence[torch.Tensor]) -> list[Change]:
        return [pairs[where].along(site, basis) for basis in listed]

    base, source = Component.of(pairs[DIFFERENT], site).ends
    changes: dict[str, dict[str, Sequence[Change]]] = {
        DIFFERENT: {
            **{control: along(DIFFERENT, listed) for control, listed in bases.items()},
            **({PLACEBO: [placebo(base, source, first, basis) for basis in of_first]} if trained else {}),
            SELF: [placebo(base, base, first, first)],
        }
    }
    if trained:
        changes[TRAIN] = {TRAINED: along(TRAIN, trained), ON_ARBITRARY: along(TRAIN, arbitrary)}
    for key, basis in users.items():
        placebos = [placebo(base, source, basis, elsewhere) for elsewhere in random(basis.shape[1])]
        changes[DIFFERENT] = changes[DIFFERENT] | {of_user(PLACEBO, key): placebos}
    if SAME in pairs:
        changes[SAME] = {SAME_VALUE: along(SAME, trained)} if trained else {}
        changes[SAME].update({of_user(SAME_VALUE, key): along(SAME, [basis]) for key, basis in users.items()})
        changes[SAME].update({ON_ARBITRARY_SAME: along(SAME, arbitrary)} if trained and _trains_same(train) else {})
    if DIFFERENT_UNRELATED in pairs and trained:
        changes[DIFFERENT_UNRELATED] = {UNRELATED: along(DIFFERENT_UNRELATED, trained)}
    return Tried(site, pairs, changes, bases | {PLACEBO: of_first, ON_ARBITRARY_SAME: arbitrary}, list(users))


def controls(
    component: str,
    tried: Tried,
    learnt: Learnt,
    curve: pd.DataFrame | None,
    *,
    seed: int,
    resamples: int,
    batch: int,
    on_patch: Callable[[int], object] = lambda pairs: None,
) -> pd.DataFrame:
    """Makes the patches and measures them.

    Args:
        component: The component's name.
        tried: The patches.
        learnt: What the controls learnt.
        curve: The training curve of the trained subspaces; ``None`` where nothing was trained.
        seed: Seed of the held-out labels and of the bootstrap.
        resamples: Draws of the bootstrap, over cases and the draws of ``DRAWN``; training seeds are held fixed.
        batch: Pairs at a time.
        on_patch: Told the number of pairs after every batch of every patch.

    Returns:
        One row a control: the measures of a patch, with ``effect_min`` and ``effect_max`` the range over single draws;
        ``cosine``, mean over draws, of its subspace with the first trained one, and its range; late training accuracies
        of the two kinds of pairs; ``label_accuracy_train`` and ``label_accuracy``, the share of pairs, trained on and
        held out, whose likelier name is the one of their tossed label, and their ranges; and how LD is distributed over
        pairs and draws, with and without the patch, on held-out pairs and (``train_``) on those trained on.
    """
    outcomes = tried.patch(batch, on_patch)
    bootstraps = {where: Bootstrap.of(pairs.groups, resamples, seed) for where, pairs in tried.pairs.items()}
    curves = {control: run.curve for control, run in learnt.runs.items()}
    curves |= {} if curve is None else {TRAINED: curve}
    trained = outcomes.get((DIFFERENT, TRAINED))
    rows = []
    for (where, control), outcome in outcomes.items():
        if where == TRAIN:
            continue
        pairs = tried.pairs[where]
        over = dict(share_of_trained=trained.ld) if where == DIFFERENT and trained is not None else {}
        effects = pairs.ld_clean.mean() - outcome.ld.mean(1)
        row: dict[str, Any] = dict(component=component, control=control, draws=len(effects), pairs=len(pairs))
        drawn = control.partition(OF_USER)[0] in DRAWN
        row |= summarise(outcome, pairs.ld_clean, bootstraps[where], over=over, drawn=drawn)
        row |= dict(effect_min=effects.min(), effect_max=effects.max())
        if control in tried.bases and trained is not None:
            cosines = np.array([abs(closeness(v, tried.bases[TRAINED][0])) for v in tried.bases[control]])
            row |= dict(cosine=cosines.mean(), cosine_min=cosines.min(), cosine_max=cosines.max())
        if control in curves:
            kinds = ("change", "keep")
            row |= {f"train_accuracy_{kind}": late_accuracy(curves[control], kind) for kind in kinds}
        if control == ON_ARBITRARY:
            row |= _label_accuracies(tried, learnt, outcomes, seed, resamples)
        row |= spread("ld_clean", pairs.ld_clean) | spread("ld", outcome.ld)
        before = {SAME_VALUE: TRAINED, ON_ARBITRARY_SAME: ON_ARBITRARY}.get(control, control)
        if (TRAIN, before) in outcomes:
            train = tried.pairs[TRAIN]
            among = (train.table["kind"] == where).to_numpy()
            if among.any():
                clean, patched = train.ld_clean[among], outcomes[TRAIN, before].ld[:, among]
                row |= dict(train_ld_clean=clean.mean(), train_ld=patched.mean())
                row |= spread("train_ld_clean", clean) | spread("train_ld", patched)
        rows.append(row)
    order = [TRAINED, *(key.subspace for key in tried.users), UNRELATED, SAME_VALUE, SELF, RANDOM_DIRECTION, PLACEBO]
    order += [DIFFERENT_ONLY, ON_ARBITRARY, ON_ARBITRARY_SAME]
    # A control of the user's own subspace stands behind that of the trained one.
    return table(sorted(rows, key=lambda row: order.index(row["control"].partition(OF_USER)[0])))


def measure_controls(
    component: str,
    site: Site,
    train: Pairs,
    test: Pairs,
    trained: Sequence[torch.Tensor],
    users: Mapping[SubspaceKey, torch.Tensor],
    curve: pd.DataFrame | None,
    *,
    rank: int,
    das_seeds: Sequence[int],
    settings: Mapping[str, Any],
    random_directions: int,
    seed: int,
    resamples: int,
    batch: int,
    on_step: Callable[[float], None] = lambda loss: None,
    patch_bar: Callable[[int], Callable[[int], object]] = lambda total: lambda pairs: None,
) -> pd.DataFrame:
    """All controls of one component: trains what has to be trained, makes the patches and measures them.

    Where nothing was trained, those that no training takes: of the user's own subspaces, of which there must be some.

    Args:
        component: The component's name, which tells its random subspaces from others'.
        site: Where it is.
        train: The pairs that the trained subspace was trained on.
        test: Held-out pairs of every kind.
        trained: The trained subspaces, ``[d, k]``, one a seed; none where nothing was trained.
        users: The user's own.
        curve: The training curve of the trained subspaces; ``None`` likewise.
        rank: Dimension of the subspaces of controls.
        das_seeds: Seeds of the controls that are trained.
        settings: How a DAS run goes.
        random_directions: How many random subspaces.
        seed: Of the random subspaces, the held-out labels and the bootstrap.
        resamples: As for ``controls``.
        batch: Likewise.
        on_step: Told the mean loss after every training step.
        patch_bar: Told how many pairs there are to patch; what it gives is told the number of pairs after every batch.

    Returns:
        As ``controls``.
    """
    learnt = Learnt({}, np.empty((0, len(train)), dtype=bool))
    if trained:
        learnt = learn(site, train, rank=rank, seeds=das_seeds, settings=settings, on_step=on_step)

    def random(rank: int) -> list[torch.Tensor]:
        return random_bases(train.model.width(site), rank, random_directions, seed, component)

    tried = make_changes(site, train, test, trained, users, learnt, random)
    on_patch = patch_bar(tried.count)
    return controls(component, tried, learnt, curve, seed=seed, resamples=resamples, batch=batch, on_patch=on_patch)


def spread(name: str, ld: np.ndarray) -> dict[str, float]:
    """How logit differences are distributed: standard deviation, mean size, share of those near zero."""
    size = np.abs(ld)
    return {f"{name}_sd": ld.std(), f"{name}_abs": size.mean(), f"{name}_near_zero": (size < NEAR).mean()}


def _label_accuracies(
    tried: Tried, learnt: Learnt, outcomes: Mapping[tuple[str, str], Outcome], seed: int, resamples: int
) -> dict[str, float]:
    """How many pairs give the name of their tossed label, trained on and held out (of the same kinds), with the range
    over tosses."""
    kinds = {DIFFERENT: ON_ARBITRARY} | ({SAME: ON_ARBITRARY_SAME} if (SAME, ON_ARBITRARY_SAME) in outcomes else {})
    ld = np.concatenate([outcomes[key].ld for key in kinds.items()], 1)
    answers = np.concatenate([tossed(len(tried.pairs[kind]), seed, len(ld), kind) for kind in kinds], 1)
    groups = np.concatenate([tried.pairs[kind].groups for kind in kinds])
    row: dict[str, float] = {}
    for name, of_pairs, found, labels in (
        ("label_accuracy_train", tried.pairs[TRAIN].groups, outcomes[TRAIN, ON_ARBITRARY].ld, learnt.answers),
        ("label_accuracy", groups, ld, answers),
    ):
        right = ((found > 0) == labels).astype(float)
        row |= interval(name, Bootstrap.of(of_pairs, resamples, seed).means(right, drawn=True))
        row |= {f"{name}_min": right.mean(1).min(), f"{name}_max": right.mean(1).max()}
    return row


def _trains_same(train: Pairs) -> bool:
    return bool((train.table["kind"] == SAME).any())
