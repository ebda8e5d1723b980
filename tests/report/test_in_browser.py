"""Pages in a real browser; skipped where there is none."""

from pathlib import Path

import pytest

import made
from browser import PROGRAM, Page, browser
from subspace_illusion.report.audit_page import AuditPage, write_page
from subspace_illusion.tasks.as_read import AsRead, FirstRow

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no chromium here")

REPORT = Path(__file__).parents[2] / "results/report.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    long = ["supercalifragilistic" * 4, *[" word"] * 30, " to"]
    shown = AuditPage(
        remarks={made.V_MLP: "left out"},
        pairs=made.pairs().assign(base_token=" is", source_token=" is"),
        tables=dict(effects=made.effects()),
        verdicts=made.verdicts(),
        calibration=made.calibration(),
        by_block=None,
        proof=dict(replay=1e-6, self_patch=0.0, null_part=None, allowed=1e-3, noise=0.0),
        about=dict(model="tiny", pairs=dict(), notes=dict(mine="taken for a direction, " + "x" * 200)),
        reading=AsRead(None, FirstRow(long, 3, " Anna", " Paul"), []),
    )
    write_page(shown, path)
    return path


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("which", ["an audit", "the run"])
def test_a_page_asks_for_nothing_complains_of_nothing_and_fits_the_screen(page: Page, audited, which, width):
    path = audited if which == "an audit" else REPORT
    page.open(path, width)
    page.run("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.told("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
    asked = [event["request"]["url"] for event in page.told("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [path.resolve().as_uri()]


def test_folds_open_by_keyboard(page: Page, audited):
    page.open(audited, 1280)
    for _ in range(20):
        page.press("Tab", 9)
        if page.run("document.activeElement.tagName") == "SUMMARY":
            break
    assert not page.run("document.activeElement.parentElement.open")
    page.press("Enter", 13, "\r")
    assert page.run("document.activeElement.parentElement.open")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_first_screen_has_every_verdict_and_the_picture(page: Page, audited, width):
    page.open(audited, width, 1000)
    bottoms = "[...document.querySelectorAll('.verdicts tr, img')].slice(0, 6).map(x => x.getBoundingClientRect().top)"
    assert max(page.run(bottoms)) < 1000


def test_dark_is_dark(page: Page, audited):
    found = []
    for dark in (False, True):
        page.open(audited, 1280, dark=dark)
        found.append(page.run("getComputedStyle(document.body).backgroundColor"))
    assert found == ["rgb(255, 255, 255)", "rgb(20, 23, 26)"]
