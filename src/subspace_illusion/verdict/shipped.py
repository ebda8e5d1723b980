"""What planted cases say, as it is read from a file, and what the library comes with."""

from pathlib import Path

from subspace_illusion.errors import InputError
from subspace_illusion.files import read_json
from subspace_illusion.verdict.calibration import Calibration

SHIPPED = Path(__file__).with_name("calibration.json")
"""The outcome of make calibrate that the library comes with."""


def read_calibration(path: Path = SHIPPED) -> Calibration:
    """What planted cases say, from a file.

    Raises:
        InputError: If it cannot be read, or holds none.
    """
    try:
        return Calibration.from_json(read_json(path))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds no planted cases: make it anew with make calibrate") from error
