"""What an agent has told others about one task: each sentence is looked at together with those before it."""

from collections.abc import Callable, Iterable
from pathlib import Path

from runner.errors import ToolError
from runner.secrets import Redactor

REFUSAL = "With what went out before, that would hold a secret of this host in pieces: it is not sent."
KEPT = 20_000
"""Characters up to which a text is kept whatever it says; a longer one only where it has a piece."""


class Ledger:
    """The words of all stages of a task, in a file of this host. `elsewhere` is what went out by other ways.

    The file holds nothing that did not leave.
    """

    def __init__(self, state: Path, task: str, redactor: Redactor, elsewhere: Callable[[], Iterable[str]]) -> None:
        self._path, self._pieces, self._elsewhere = state / "told" / f"{task}.txt", redactor.pieces, elsewhere

    def tell(self, *texts: str) -> None:
        """Take note that `texts` leave this host now. Raises `ToolError` where they may not."""
        if not self._pieces:
            return
        before = self._path.read_text("utf-8", "replace") if self._path.exists() else ""
        suspicious = self._pieces.in_text("".join((before[-100:], *texts)))
        if suspicious and self._pieces.adds(texts, (*self._elsewhere(), before)):
            raise ToolError(REFUSAL)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = (text for text in texts if len(text) <= KEPT or self._pieces.in_text(text))
        with self._path.open("ab") as file:
            file.write("".join(f"{text}\n" for text in kept).encode("utf-8", "replace"))
