"""A real Chromium that looks at our pages, and axe-core that judges them. Neither reaches beyond loopback."""

from browser.chromium import Visit, chromium, visiting
from browser.judging import faults

__all__ = ["Visit", "chromium", "faults", "visiting"]
