"""Chromium as Debian has it, without a screen: each visit is a person of its own, with all that went wrong noted."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60_000  # milliseconds: a machine may be slow
QUIET = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Browser]":
    """One browser for the tests of a file: what drives it has an event loop, with which other tests could not live.

    Where none is installed the tests are skipped, but not where `make test` has set up.
    """
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None and os.environ.get("CI"):
        pytest.fail("there is no Chromium, and scripts/setup should have installed it")
    if path is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    env = {**os.environ, "HOME": str(tmp_path_factory.mktemp("browser"))}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=list(QUIET), env=env, timeout=2 * PATIENCE)
        yield browser
        browser.close()


class Visit:
    """A person's window. `noticed` is what the page complained of: errors, and what its policy kept from running."""

    def __init__(self, page: "Page", base: str) -> None:
        self.page = page
        self.base = base
        self.noticed: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", lambda said: self.noticed.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.noticed.append(str(error)))
        page.on("dialog", lambda dialog: (self.noticed.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda asked: self._asked(asked.url))

    def _asked(self, url: str) -> None:
        if urlsplit(url).hostname != "127.0.0.1":
            self.elsewhere.append(url)

    def go(self, path: str) -> "Page":
        """Open one of our pages."""
        self.page.goto(self.base + path)
        return self.page

    def picture(self, name: str) -> None:
        """What there is to see, for whoever sets `PULLWRIGHT_PICTURES` to a folder."""
        folder = os.environ.get("PULLWRIGHT_PICTURES")
        if folder:
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@contextmanager
def visiting(
    browser: "Browser", base: str, *, token: str = "", scheme: str = "light", width: int = 1280, script: bool = True
) -> Iterator[Visit]:
    """A visit to the service at `base`, signed in with a token if one is given; it asks nothing of other hosts."""
    more: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    context = browser.new_context(java_script_enabled=script, reduced_motion="reduce", **more)
    context.set_default_timeout(PATIENCE)
    context.set_default_navigation_timeout(PATIENCE)
    if token:
        form, headers = {"token": token}, {"origin": base}
        signed = context.request.post(f"{base}/login", form=form, headers=headers, timeout=PATIENCE)
        assert signed.ok, signed.text()
    try:
        visit = Visit(context.new_page(), base)
        yield visit
        assert visit.elsewhere == []
    finally:
        context.close()
