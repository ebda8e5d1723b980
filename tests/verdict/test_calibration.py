"""What planted cases say, written and read again."""

import json

import pandas as pd
import pytest

from planted_made import cases
from subspace_illusion.errors import InputError
from subspace_illusion.files import write_json
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.held_out import judged, left_out, told_apart
from subspace_illusion.verdict.shipped import read_calibration


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return Calibration.measured(left_out(judged(told_apart(cases(), 0.1)), "model"), {"one": "a1", "other": "b2"})


def test_it_is_the_same_from_its_json(calibration, tmp_path):
    write_json(tmp_path / "calibration.json", calibration.to_json())
    read = read_calibration(tmp_path / "calibration.json")
    assert (read.digests, read.models, read.tasks) == (calibration.digests, ["one", "other"], ["ioi"])
    for kind in ("writes to the stream", "the stream"):
        ours, theirs = (each.planted.predict(0.4, kind) for each in (calibration, read))
        assert (theirs.low, theirs.high) == pytest.approx((ours.low, ours.high), abs=1e-3)
        assert theirs.level == ours.level
        assert theirs.cases == pytest.approx(ours.cases, abs=2)  # estimates have four digits there
    pd.testing.assert_frame_equal(read.held_out.astype(calibration.held_out.dtypes), calibration.held_out)
    assert "NaN" not in json.dumps(calibration.to_json())


def test_a_model_is_known_by_its_weights(calibration):
    assert calibration.name_of("b2") == "other"
    assert calibration.name_of("c3") is None
    assert calibration.name_of(None) is None


def test_pooled_is_over_all_left_out_cases(calibration):
    assert calibration.pooled["cases"] == calibration.held_out["cases"].sum()


@pytest.mark.parametrize("content", ['{"about": {}}', "[]", '{"cases": 3}'])
def test_what_holds_no_cases_is_refused_in_one_line(tmp_path, content):
    file = tmp_path / "calibration.json"
    file.write_text(content)
    with pytest.raises(InputError, match="holds no planted cases") as error:
        read_calibration(file)
    assert "\n" not in str(error.value)
