"""Vectors of standardised activations, and the deviation beside them: divided by it, they read of activations what they
read of standardised ones."""

import re
from dataclasses import replace
from pathlib import Path

import torch

from subspace_illusion.subspace.held import Held
from subspace_illusion.subspace.vectors import Vectors, as_rows, called, module_and_name

_DEVIATION = r"standard_?deviations?|std_?deviations?|std_?devs?|deviations?|stdevs?|stds?|sds?|sigmas?"
_SCALE = r"scales?"
_SPREAD = re.compile(rf"(?:.*[^a-z])?(?:r|inv)?(?:{_DEVIATION}|{_SCALE}|variances?|vars?)(?:[^a-z].*)?")
"""Names of what says how far activations, or something else, spread."""
_SPREADS = re.compile(rf"(?:.*_)?(?:{_DEVIATION}|variances?|vars?)_?")
"""Those that nothing else is called."""
_DIVIDES = re.compile(rf"(?:.*_)?(?:{_DEVIATION})_?|(?:.*_)?scale_|(?:.*_)?scaler_scale")
"""Those of what activations were divided by; the others may be inverse, squared, or multiplied with."""
_PLAIN_SCALE = re.compile(rf"(?:.*_)?{_SCALE}")
"""Also of such, where a mean stands in the same file."""
_CHANGED = re.compile(r"(?:.*_)?(?:inv|inverse|reciprocal|log|weight|quant|explained)_.*")
_MEAN = re.compile(r"(?:(?:pca|scaler|act|acts|activations?|train)_)?(?:means?|centers?)_?")
_SPECTRUM = re.compile(r"(?:.*_)?(?:explained_variance|singular_values|eigenvalues)(?:_ratio)?_?")
_MULTIPLIES = ("min_", "data_min_")
"""What a scaler keeps that multiplies by its scale."""


def divided(held: Held, name: str, vectors: Vectors, width: int) -> Vectors:
    """Components or weights of a probe as vectors of the activations themselves.

    Args:
        held: What the file holds.
        name: The tensor's name.
        vectors: Its vectors, as rows.
        width: ``d``.

    Returns:
        The vectors divided by the deviation of their activations, where the file has one; refused where something
        beside them may be it and may not.
    """
    spreads = _spreads(held, name, width)
    if not spreads:
        return vectors
    deviations = {other: values for other, values in spreads.items() if _is_deviation(held, other, values, width)}
    closest = max((_shared(name, other) for other in deviations), default=0)
    nearest = [other for other in deviations if _shared(name, other) == closest]
    if len(nearest) != 1:
        shown = " and ".join(nearest or spreads)
        return replace(
            vectors,
            refused=f"has {shown} beside it, and nothing tells for certain by what activations were divided before it "
            "was found; save it alone, divided by the same, or as it is where they were not",
        )
    values = vectors.values.double() / deviations[nearest[0]].flatten().double()
    return vectors.after(
        f"divided by the deviation {nearest[0]}", values=values, kind=f"{vectors.kind} of standardised activations"
    )


def undivided(held: Held, name: str, vectors: Vectors, width: int) -> Vectors:
    """Vectors of other kinds, with a word on what may be a deviation beside them and was left alone."""
    spreads = [] if as_rows(vectors.values, width) is None else _spreads(held, name, width)
    if not spreads or _SPREAD.fullmatch(called(name)) or "of standardised" in vectors.kind:
        return vectors
    return vectors.after(f"taken as it is, not divided by {' or '.join(spreads)} beside it")


def statistics_alone(file: Path, held: Held) -> dict[str, Vectors]:
    """What says how activations lie, wherever it stands: a deviation or a variance, by its own or the file's name, and
    a mean beside one."""
    named = {name: called(name) or file.stem.lower() for name in held.tensors}
    spreads = [name for name, values in held.tensors.items() if _SPREADS.fullmatch(named[name]) and (values >= 0).all()]
    means = [name for name in held.tensors if spreads and _MEAN.fullmatch(named[name])]
    refused = "says by its name how activations lie and is no direction; save it under another name if it is one"
    return {name: Vectors(held.tensors[name], refused=refused) for name in (*spreads, *means)}


def statistics(held: Held, beside: str, width: int) -> dict[str, Vectors]:
    """What stands beside vectors and says how activations lie."""
    refused = f"says how activations lie and is no direction; name {beside}"
    return {
        name: Vectors(values, refused=refused)
        for name, values in held.tensors.items()
        if name != beside
        and width in values.shape
        and any(known.fullmatch(called(name)) for known in (_MEAN, _SPREAD, _SPECTRUM))
    }


def _spreads(held: Held, name: str, width: int) -> dict[str, torch.Tensor]:
    """What may be a deviation of the vectors' activations: all that is called so, is as wide, and lies in no module
    that has such vectors of its own."""
    module, own_name = module_and_name(name)
    found = {}
    for other, values in held.tensors.items():
        its_module, _ = module_and_name(other)
        elsewhere = its_module != module and its_module + own_name in held.tensors
        is_spread = _SPREAD.fullmatch(called(other)) and not _SPECTRUM.fullmatch(called(other))
        if other != name and is_spread and width in values.shape and not elsewhere:
            found[other] = values
    return found


def _is_deviation(held: Held, name: str, values: torch.Tensor, width: int) -> bool:
    """Whether activations were divided by this for certain: it is called so, and its numbers are positive and no
    singular values."""
    module, word = module_and_name(name)[0], called(name)
    divides = _DIVIDES.fullmatch(word) or (_PLAIN_SCALE.fullmatch(word) and _has_mean(held, width))
    if not divides or _CHANGED.fullmatch(word) or any(module + other in held.tensors for other in _MULTIPLIES):
        return False
    numbers = values.flatten().double()
    are_singular_values = "sigma" in word and bool((numbers.diff() <= 0).all())
    return len(numbers) == width and bool((numbers > 0).all() & numbers.isfinite().all()) and not are_singular_values


def _has_mean(held: Held, width: int) -> bool:
    means = (values for name, values in held.tensors.items() if _MEAN.fullmatch(called(name)))
    return any(values.numel() == width for values in means)


def _shared(one: str, other: str) -> int:
    """In how many modules, from the outermost, two tensors lie together."""
    modules = [re.split(r"[./]", module_and_name(name)[0]) for name in (one, other)]
    together = 0
    for ours, theirs in zip(*modules, strict=False):
        if ours != theirs:
            break
        together += 1
    return together
