import os

import pytest

from subspace_illusion.pipeline.cores import cores


@pytest.fixture(autouse=True)
def _sixteen(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)


@pytest.mark.parametrize(
    ("files", "side_by_side", "threads"),
    [
        ({}, 1, 16),
        ({}, 3, 5),
        ({}, 40, 1),
        ({"cpu.max": "max 100000\n"}, 1, 16),
        ({"cpu.max": "250000 100000\n"}, 1, 2),
        ({"cpu.max": "50000 100000\n"}, 1, 1),
        ({"cpu.max": "800000 100000\n"}, 2, 4),
        ({"cpu.max": "3200000 100000\n"}, 1, 16),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1, 16),
    ],
)
def test_threads_are_bounded_by_what_a_process_may_use(tmp_path, files, side_by_side, threads):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores(side_by_side, tmp_path) == threads
