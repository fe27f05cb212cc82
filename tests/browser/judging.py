"""axe-core, from the package that carries it: what it calls serious or critical, as sentences."""

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

GRAVE = ("serious", "critical")


def faults(page: "Page") -> list[str]:
    """What is wrong with a page for those who cannot see it well, or use no mouse."""
    page.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text())
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{page.url}: {one['impact']}: {one['id']}: {one['nodes'][0]['target']}: {one['nodes'][0]['failureSummary']}"
        for one in found
        if one["impact"] in GRAVE
    ]
