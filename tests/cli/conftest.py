import pytest

import made
from subspace_illusion.auditing import result


@pytest.fixture(scope="module", autouse=True)
def _planted_by_hand():
    """Verdicts rest on cases made by hand, whatever the library comes with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result, "read_calibration", made.calibration)
        yield
