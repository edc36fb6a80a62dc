"""A headless chromium and the page in it, spoken to over a pipe in the browser's own debugging protocol."""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

READS, WRITES = 3, 4
"""The descriptors of the protocol in the browser: JSON, each message ended by a NUL."""

REDIRECTED = f"""import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(reads, {READS}), os.dup2(writes, {WRITES})
os.execvp(sys.argv[3], sys.argv[3:])"""


class Page:
    """The first page of a browser that was just started."""

    def __init__(self, *, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._heard = b""
        self._calls = 0
        targets = self._call("Target.getTargets")["result"]["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=page, flatten=True)["result"][
            "sessionId"
        ]

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited; asked again if the page was still being loaded."""
        while True:
            answer = self._call(
                "Runtime.evaluate",
                self._session,
                expression=expression,
                awaitPromise=True,
                returnByValue=True,
            )
            if "result" in answer:
                result = answer["result"]
                assert "exceptionDetails" not in result, result["exceptionDetails"]
                return result["result"].get("value")
            assert "context" in answer["error"]["message"], answer

    def photograph(self, path: Path) -> None:
        """The visible part, as PNG."""
        path.write_bytes(b64decode(self._call("Page.captureScreenshot", self._session)["result"]["data"]))

    def _call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._hear()
            if answer.get("id") == self._calls:
                return answer

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._heard:
            chunk = os.read(self._answers, 1 << 16)
            assert chunk, "the browser is gone"
            self._heard += chunk
        message, _, self._heard = self._heard.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told


@contextmanager
def browse(url: str, profile: Path) -> Iterator[Page]:
    """A browser with `url` open; it ends with the block. Needs chromium (see .ci/packages)."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed (see .ci/packages)")
    browser_reads, commands = os.pipe()
    answers, browser_writes = os.pipe()
    words = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *(f"--user-data-dir={profile}", "--window-size=1600,900", "--remote-debugging-pipe", url),
    ]
    redirected = [sys.executable, "-c", REDIRECTED, str(browser_reads), str(browser_writes), *words]
    browser = subprocess.Popen(
        redirected,
        pass_fds=(browser_reads, browser_writes),
        stderr=subprocess.DEVNULL,
    )
    os.close(browser_reads)
    os.close(browser_writes)
    try:
        yield Page(commands=commands, answers=answers)
    finally:
        browser.kill()
        browser.wait()
        os.close(commands)
        os.close(answers)
