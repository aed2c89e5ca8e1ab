"""A real Chromium for tests, through its debugging pipe: open a page, point, press keys, and see what happened."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
_QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars --disable-sync "
    "--disable-background-networking --disable-component-update --remote-debugging-pipe"
)


class Browser:
    """One open page. `noticed` are its console messages, uncaught errors, dialogs and requests, as they come."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._rest, self._last, self._session = b"", 0, None
        self.noticed: list[tuple[str, str]] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, **params: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        self._last += 1
        session = {"sessionId": self._session} if self._session else {}
        os.write(
            self._to, json.dumps({"id": self._last, "method": method, "params": params, **session}).encode() + b"\0"
        )
        while True:
            answer = self._read()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]
            self._notice(answer)

    def _read(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        while b"\0" not in self._rest:
            more = os.read(self._from, 1 << 20)
            assert more, "the browser has gone"
            self._rest += more
        answer, self._rest = self._rest.split(b"\0", 1)
        return json.loads(answer)

    def _notice(self, event: dict[str, Any]) -> None:
        method, params = event["method"], event.get("params", {})
        if method in (
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
            "Page.javascriptDialogOpening",
        ):
            self.noticed.append((method, json.dumps(params)))
        if method == "Network.requestWillBeSent" and not params["request"]["url"].startswith("data:"):
            self.noticed.append((method, params["request"]["url"]))

    def open(self, page: Path, width: int = 1280, height: int = 900, **media: str) -> None:
        """Load a page in a window of this size; `media`: features such as prefers_color_scheme."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.media("", **media)
        self._call("Page.navigate", url=page.as_uri())
        self.run("new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))")

    def media(self, kind: str, **features: str) -> None:
        """Be a screen or paper (`print`), light or dark."""
        given = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self._call("Emulation.setEmulatedMedia", media=kind, features=given)

    def run(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page says
        """The value of an expression in the page."""
        done = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def point(self, selector: str, share_x: float = 0.5, share_y: float = 0.5) -> None:
        """Scroll to the first element of a selector and put the pointer on it."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        box = self.run(f"(({{x, y, width, height}}) => [x, y, width, height])({element}.getBoundingClientRect())")
        x, y = box[0] + share_x * box[2], box[1] + share_y * box[3]
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str, code: int) -> None:
        """Press a key: its name (Tab, ArrowLeft) and its Windows key code."""
        for kind in ("rawKeyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self._call("Input.insertText", text=text)

    def picture(self, to: Path, clip: tuple[int, int, int, int] | None = None) -> None:
        """A PNG of the window, or of a part of the page: x, y, width, height."""
        part = {"clip": dict(zip(("x", "y", "width", "height", "scale"), (*clip, 1), strict=True))} if clip else {}
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=clip is not None, **part)
        to.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a page of its own, ended afterwards."""
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for pair in (os.pipe(), os.pipe()) for end in pair]
    theirs_in, ours_out, ours_in, theirs_out = ends
    command = [str(CHROMIUM), *_QUIET.split(), f"--user-data-dir={profile}"]
    shell = ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", *command]
    process = subprocess.Popen(shell, pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL)
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours_out)
        os.close(ours_in)
