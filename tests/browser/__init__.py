"""A real Chromium that looks at our pages, and axe-core that judges them. Neither reaches beyond loopback."""

from browser.chromium import Visit, visiting
from browser.judging import faults

__all__ = ["Visit", "faults", "visiting"]
