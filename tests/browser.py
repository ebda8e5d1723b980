"""Chromium without a window, driven over a pipe in its own protocol (DevTools): no further package is needed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
"""Where it is; ``None`` where there is none."""


class Page:
    """The one page of a browser.

    Attributes:
        events: What the page has told of itself since ``open``: requests, lines of the console, exceptions.
    """

    def __init__(self, orders: int, answers: int) -> None:
        self._orders, self._answers, self._ids = os.fdopen(orders, "wb"), os.fdopen(answers, "rb"), count(1)
        self._rest, self._session = b"", ""
        self.events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")

    def open(self, path: Path, width: int, height: int = 800, dark: bool = False) -> None:
        """Opens a file in a window of so many pixels."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = dict(name="prefers-color-scheme", value="dark" if dark else "light")
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        for url in ("about:blank", path.resolve().as_uri()):  # the first leaves what was open behind
            self.events = []
            self._ask("Page.navigate", url=url)
            while not self.told("Page.loadEventFired"):
                self.events.append(self._read())

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Presses a key."""
        about = dict(key=key, code=key, windowsVirtualKeyCode=code)
        self._ask("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **about)

    def picture(self, whole: bool = False) -> str:
        """What is seen, or the whole page, as a PNG in base 64."""
        return str(self._ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """The events of some kinds."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        order = dict(id=next(self._ids), method=method, params=params)
        if self._session:
            order["sessionId"] = self._session
        self._orders.write(json.dumps(order).encode() + b"\0")
        self._orders.flush()
        while (answer := self._read()).get("id") != order["id"]:
            self.events.append(answer)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            got = self._answers.read1()
            assert got, "the browser has gone"
            self._rest += got
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))


@contextmanager
def browser(folder: Path, options: Sequence[str] = ()) -> Iterator[Page]:
    """A browser with an empty profile.

    Args:
        folder: For its profile.
        options: Of the command line, besides.
    """
    (orders_out, orders), (answers, answers_in) = os.pipe(), os.pipe()
    command = [
        str(PROGRAM), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
        "--disable-background-networking", "--hide-scrollbars", f"--user-data-dir={folder}", *options,
    ]  # fmt: skip
    program = ["bash", "-c", f'exec "$@" 3<&{orders_out} 4>&{answers_in}', "bash", *command]
    process = subprocess.Popen(program, pass_fds=(orders_out, answers_in), stderr=subprocess.DEVNULL)
    os.close(orders_out)
    os.close(answers_in)
    try:
        yield Page(orders, answers)
    finally:
        process.kill()
        process.wait()
