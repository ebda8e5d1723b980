"""Where the truth of a planted case is known (E14).

It is where the signal arrives in the place, and where next to nothing else does: beside what the signal adds there, and
beside the effect itself, which could be that of the component's own mediators.
"""

import numpy as np
from numpy.typing import ArrayLike

BY_ITSELF = 0.1
"""What a component may do without the signal, as a share of what the full dose adds, and of the effect of a patch, for
the patch's truth to be known: up to the latter share it could be what the component itself hands on."""


def is_known(by_itself: ArrayLike, carried: ArrayLike, effect: ArrayLike, smallest_effect: float) -> np.ndarray:
    """Whether the truth of cases is known.

    Args:
        by_itself: What the whole component does without the signal, as a share of the clean LD, of any shape.
        carried: What the full dose adds to that.
        effect: What the patch does; infinite to ask whether that of any patch could be.
        smallest_effect: The share of the clean LD that the full dose has to add, to either side.
    """
    most = BY_ITSELF * np.minimum(np.abs(carried), np.abs(effect))
    return (np.abs(carried) > smallest_effect) & (np.abs(by_itself) <= most)
