"""A text that grows, without its secrets: what stood long enough is not looked at again. Pure."""

import re
from collections.abc import Iterator

from runner.secrets import Redactor

REACH = 400
"""Characters within which a secret is known for one that has begun, where no space can stand in it."""
GRAIN = 600
"""Characters that come before the next part is done with."""
SHARE = 256
"""Of what is not done with."""

# Where no known value goes on: after a space behind what no hexadecimal number ends with (base64 is broken by lines
# alone), and between letters of scripts in which none is written.
_BETWEEN = re.compile(
    r"(?:(?<=[g-tv-wyzG-TV-WYZ.;!?)] )|(?<=[g-tv-wyzG-TV-WYZ], ))(?=\S)|(?<=[^\x00-\x7f])(?=[^\x00-\x7f])"
)


class Growing:
    """One text, given as often as it has grown. What is answered is what `Redactor.clean` makes of it."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._reach = max([REACH, *(12 * len(value) for value in redactor.wide)])
        self._begin()

    def _begin(self) -> None:
        self._done, self._clean, self._next, self._rest = "", "", self._reach + GRAIN, 0

    @property
    def step(self) -> int:
        """How many characters more are worth another look: a word without an end costs little too."""
        return self._rest // SHARE

    def clean(self, text: str) -> str:
        """All of it so far; a text that is not the former one grown is a new one."""
        if not text.startswith(self._done):
            self._begin()
        rest = text[len(self._done) :]
        said = self._redactor.clean(rest)
        whole, self._rest = self._clean + said, len(rest)
        if len(rest) >= self._next:
            self._settle(rest, said)
        return whole

    def _settle(self, rest: str, said: str) -> None:
        """Be done with as much as can be; where nothing can, not tried again before there is twice as much."""
        for at in self._places(rest):
            first = self._redactor.clean(rest[:at])
            if first + self._redactor.clean(rest[at:]) == said:
                self._done, self._clean = self._done + rest[:at], self._clean + first
                self._next = self._reach + GRAIN
                return
        self._next = 2 * len(rest)

    def _places(self, rest: str) -> Iterator[int]:
        """Where the text may be parted, the latest first; the last two are enough."""
        found = [match.start() for match in _BETWEEN.finditer(rest, 0, max(0, len(rest) - self._reach))]
        yield from reversed(found[-2:])
