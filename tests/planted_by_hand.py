"""What tests of audits share: cases made by hand, for verdicts to rest on."""

import pytest

import made
from subspace_illusion.auditing import call, result


@pytest.fixture(scope="module", autouse=True)
def planted_by_hand():
    """Verdicts rest on cases made by hand, whatever the library comes with; what is asked to be planted is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result, "read_calibration", made.calibration)
        patch.setattr(call, "LONGEST_PLANTING", 1e9)  # by a forecast, which says how fast the machine is
        yield
