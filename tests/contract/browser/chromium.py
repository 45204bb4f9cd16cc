"""A headless Chromium, driven through its DevTools protocol: what a person with a browser would see of a page.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import websocket

START_SECONDS, ANSWER_SECONDS = 60, 60


class Tab:
    """One page of the browser. ``asked_for`` holds what was fetched, ``complaints`` what the console said."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=ANSWER_SECONDS, suppress_origin=True)
        self._number = 0
        self._seen: list[dict[str, Any]] = []
        self.asked_for: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._call(f"{domain}.enable")

    def open(self, page: Path, width: int, height: int, scheme: str) -> None:
        """Show a file in a window of this size (CSS pixels), to somebody who prefers `light` or `dark`."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        preference = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=preference)
        self.asked_for, self.complaints = [], []
        self._call("Page.navigate", url=page.as_uri())
        while not any(message["method"] == "Page.loadEventFired" for message in self._seen):
            self._receive()
        self._seen.clear()

    def ask(self, script: str) -> Any:
        """The value of an expression in JavaScript, or of the promise that it gives."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while (answer := self._receive()).get("id") != self._number:
            pass
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv())
        method, params = message.get("method"), message.get("params", {})
        if method is not None:
            self._seen.append(message)
        if method == "Network.requestWillBeSent":
            self.asked_for.append(params["request"]["url"])
        if method in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(params))
        return message


@contextmanager
def chromium() -> Iterator[Tab]:
    """A browser with one empty page. Debian's, in which root may not have a sandbox."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = (
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        )  # fmt: skip
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with closing(Tab(_address(Path(profile)))) as tab:
                yield tab
        finally:
            browser.terminate()
            browser.wait(timeout=30)


def _address(profile: Path) -> str:
    """Where the browser's one page can be driven: the browser writes its port when it listens."""
    told, deadline = profile / "DevToolsActivePort", time.monotonic() + START_SECONDS
    while not (told.exists() and "\n" in told.read_text()):
        assert time.monotonic() < deadline, f"Chromium has not come up within {START_SECONDS} s"
        time.sleep(0.1)
    port = told.read_text().split("\n")[0]
    with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=ANSWER_SECONDS) as answer:
        pages = [one for one in json.load(answer) if one["type"] == "page"]
    return str(pages[0]["webSocketDebuggerUrl"])
