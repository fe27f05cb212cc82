"""Letters that wait to be sent, kept with this host's state. A server that is down delays; nothing leaves twice.

    <folder>/out       to be sent        sending   handed to the server at this moment
    <folder>/sent      what has left     unsure    may have left when the connection or we broke off: not sent again
    <folder>/refused   what no server takes       damaged    files that are no letters any more

A letter moves by renaming. One that is found in `sending` by the next run was cut off there: whether the server has it
nobody knows, so a person is told instead.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from runner.notify import Delivery, Letter

PLACES = ("out", "sending", "sent", "unsure", "refused", "damaged")
FIRST, LONGEST = 60.0, 3600.0  # seconds until the next try; each time twice as many
MOST_TRIES = 100


class Outbox:
    """The folder of letters. Whoever calls `send` holds the host's lock for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def is_new(self) -> bool:
        """Whether there has never been one on this host."""
        return not self._folder.exists()

    def begin(self, known: tuple[str, ...]) -> None:
        """Make the folder; the letters with ids `known` tell of what is past, and are never written."""
        for place in PLACES:
            (self._folder / place).mkdir(parents=True, exist_ok=True)
        for id in known:
            self._path("sent", id).touch()

    def knows(self, id: str) -> bool:
        """Whether there ever was a letter of this id."""
        return any(self._path(place, id).exists() for place in PLACES)

    def put(self, letter: Letter) -> bool:
        """Keep a letter until it is sent; False for one that was put before, whatever became of it."""
        self.begin(())
        if self.knows(letter.id):
            return False
        self._write("out", letter)
        return True

    def count(self, prefix: str) -> int:
        """How many letters there ever were whose id begins so."""
        return sum(1 for place in PLACES for _ in (self._folder / place).glob(f"{prefix}*.json"))

    def send(self, deliver: Callable[[Letter], Delivery], now: float) -> tuple[str, ...]:
        """Offer what is due to the server; returns a sentence for each letter of which a person should know.

        The first that the server does not take now is the last: one that is silent keeps a turn waiting once, and not
        for every letter.
        """
        if self.is_new:
            return ()
        said = [self._found_sending(path) for path in sorted((self._folder / "sending").glob("*.json"))]
        for path in sorted((self._folder / "out").glob("*.json")):
            letter = _read(path)
            if letter is None:
                said.append(self._set_aside(path))
            elif letter.not_before <= now:
                path.replace(self._path("sending", letter.id))
                delivery = deliver(letter)
                said.append(self._settle(letter, delivery, now))
                if delivery.outcome == "later":
                    break
        return tuple(sentence for sentence in said if sentence)

    def _set_aside(self, path: Path) -> str:
        """A file that a full disk or a person's editor left: the others are sent all the same."""
        place = self._path("damaged", path.stem)
        place.parent.mkdir(exist_ok=True)
        path.replace(place)
        return f"mail {path.stem} cannot be read and is not sent: it lies in {place}"

    def _found_sending(self, path: Path) -> str:
        path.replace(self._path("unsure", path.stem))
        return f"mail {path.stem}: sending it was cut off; it may have arrived and is not sent again"

    def _settle(self, letter: Letter, delivery: Delivery, now: float) -> str:
        sending = self._path("sending", letter.id)
        if delivery.outcome == "later" and letter.tries + 1 < MOST_TRIES:
            wait = min(LONGEST, FIRST * 2**letter.tries)
            self._write("out", msgspec.structs.replace(letter, tries=letter.tries + 1, not_before=now + wait))
            sending.unlink()
            return f"mail waits: {delivery.reason}" if letter.tries == 0 else ""
        place = "refused" if delivery.outcome == "later" else delivery.outcome
        sending.replace(self._path(place, letter.id))
        if place == "sent":  # only its name is still needed
            self._path("sent", letter.id).write_bytes(b"")
            return f"mail to {', '.join(letter.to)}: {letter.subject}"
        return f"mail {letter.id} is {place}: {delivery.reason}"

    def _write(self, place: str, letter: Letter) -> None:
        scratch = self._folder / f"{letter.id}.tmp"
        scratch.write_bytes(msgspec.json.encode(letter))
        scratch.replace(self._path(place, letter.id))

    def _path(self, place: str, id: str) -> Path:
        return self._folder / place / f"{id}.json"


def _read(path: Path) -> Letter | None:
    """The letter in a file, if it is one of that name: anything else is not sent under it."""
    try:
        letter = msgspec.json.decode(path.read_bytes(), type=Letter)
    except (msgspec.DecodeError, UnicodeDecodeError, IsADirectoryError):
        return None
    return letter if letter.id == path.stem else None
