"""The calibration that verdicts rest on, as it is read from a file, and the one that the library comes with."""

from pathlib import Path

from subspace_illusion.files import read_json
from subspace_illusion.verdict.calibration import Calibration

SHIPPED = Path(__file__).with_name("calibration.json")
"""The outcome of make calibrate that the library comes with."""


def read_calibration(path: Path = SHIPPED) -> Calibration:
    """The calibration in a file.

    Raises:
        InputError: If it cannot be read, or is none.
    """
    return Calibration.from_json(read_json(path))
