"""A person at the demo, as a headless browser: fires a drill, reads the thread, presses the buttons.

bench/demo_check.py prints what it measured; tests/e2e/test_demo.py asserts that it happened.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parent.parent
CHROMIUM = "/usr/bin/chromium"
# Without these Chromium looks for Google's hosts at every start.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
READY_S = 60.0
# Polled in the page at every frame, so a figure is not rounded up to a round trip of the browser driver.
_SEEN = "([root, text]) => [...document.querySelectorAll(root)].some((one) => one.innerText.includes(text))"


_SEEN_ANY = "([root, texts]) => [...document.querySelectorAll(root)].some((one) => texts.some((text) => one.innerText.includes(text)))"


@contextmanager
def demo(*flags: str, **environment: str) -> Iterator[str]:
    """Run `tocsin demo` on a free port, with *environment* added; yield its address once it has printed it."""
    command = [sys.executable, "-m", "bot", "demo", "--port", "0", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    try:
        yield _address(process)
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=25)
        if process.poll() is None:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[str]) -> str:
    """Return the address that the demo prints; the process's end or READY_S seconds end the wait."""
    assert process.stdout is not None
    deadline = time.monotonic() + READY_S
    for line in process.stdout:
        found = re.search(r"http://\S+", line)
        if found:
            return found[0]
        if time.monotonic() > deadline:
            break
    raise RuntimeError(f"`tocsin demo` printed no address (exit code {process.poll()})")


@contextmanager
def browser(*, width: int = 1360, height: int = 900, dark: bool = False) -> Iterator[Page]:
    """Yield a page of a headless Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
        page.set_default_timeout(60_000)
        try:
            yield page
        finally:
            chromium.close()


class Visitor:
    """One person at the page; every wait has the page's time limit, after which it raises."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.goto(address)
        self.page.get_by_test_id("composer").wait_for()

    def channel(self, name: str) -> None:
        """Go to a channel."""
        self.page.get_by_test_id("channel").filter(has_text=name).first.click()

    def become(self, name: str) -> None:
        """Act as the person of this name from now on."""
        switch = self.page.get_by_test_id("user-switch")
        switch.select_option(value=switch.locator("option").filter(has_text=name).first.get_attribute("value"))

    def fire(self, scenario: str) -> None:
        """Fire a drill from the menu."""
        self.page.get_by_test_id("fire-drill").click()
        self.page.locator(f'[data-testid="scenario"][data-name="{scenario}"]').click()

    def alerts(self, status: str = "FIRING") -> Locator:
        """Return the messages of #alerts whose title has this status."""
        return self.page.locator('#main [data-testid="message"]').filter(has_text=f"[{status}")

    def wait_alert(self, number: int) -> float:
        """Wait for the *number*-th alert of the session; return the time it was seen."""
        expect(self.alerts()).to_have_count(number, timeout=60_000)
        return time.monotonic()

    def open_thread(self, message: Locator) -> Locator:
        """Open the thread of a message; return its panel."""
        message.get_by_test_id("open-thread").click()
        panel = self.page.get_by_test_id("thread-panel")
        expect(panel).to_be_visible()
        return panel

    def wait_text(self, text: str, selector: str = "#thread", timeout_s: float = 60) -> float:
        """Wait until *text* stands in the element; return the time."""
        self.page.wait_for_function(_SEEN, arg=[selector, text], timeout=timeout_s * 1000)
        return time.monotonic()

    def wait_either(self, *texts: str) -> float:
        """Wait until one of *texts* stands in the thread; return the time."""
        self.page.wait_for_function(_SEEN_ANY, arg=["#thread", list(texts)])
        return time.monotonic()

    def press(self, words: str) -> None:
        """Press the last button of these words in the thread, and confirm if asked."""
        self.page.locator("#thread").get_by_test_id("block-button").filter(has_text=words).last.click()
        confirm = self.page.get_by_test_id("confirm-yes")
        with contextlib.suppress(Exception):
            confirm.click(timeout=500)

    def say(self, text: str) -> None:
        """Write in the channel."""
        box = self.page.get_by_test_id("composer")
        box.fill(text)
        self.page.locator("#main").get_by_test_id("send").click()

    def wait_post(self, text: str) -> Locator:
        """Wait for a message of ours in the channel that has this text; return it."""
        message = self.page.locator('#main [data-testid="message"]').filter(has_text=text).last
        message.wait_for()
        return message

    def shot(self, path: Path) -> None:
        """Save a picture of the page."""
        self.page.screenshot(path=path)
