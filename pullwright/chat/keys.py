"""The line on which a person types: several lines, what was said before at the arrow keys, commands completed."""

import sys
import termios
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from pullwright.chat.words import NAMES

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.formatted_text import AnyFormattedText
    from prompt_toolkit.key_binding import KeyBindings


class Quiet:
    """A terminal that shows nothing of what is typed between two messages, and keeps it for the next one. ^C works."""

    def __init__(self) -> None:
        self.fd = sys.stdin.fileno()
        self.before = termios.tcgetattr(self.fd)

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def take(self) -> None:
        """Show nothing from now on."""
        mode = termios.tcgetattr(self.fd)
        mode[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(self.fd, termios.TCSADRAIN, mode)

    def give_back(self) -> None:
        """The terminal as it was found."""
        termios.tcsetattr(self.fd, termios.TCSADRAIN, self.before)

    @contextmanager
    def away(self) -> Iterator[None]:
        """While another program has the terminal."""
        self.give_back()
        try:
            yield
        finally:
            self.take()


class Typing:
    """Asks for one message after the other. `agents` are completed after /assign, `below` is the line at the bottom."""

    def __init__(self, said: Iterable[str], agents: Iterable[str], below: Callable[[], str]) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory

        self.below = below
        self.session: PromptSession[str] = PromptSession(
            history=InMemoryHistory(list(said)), key_bindings=_keys(), completer=_completer(tuple(agents)),
            multiline=True, bottom_toolbar=self._toolbar, style=_style(), complete_while_typing=False,
            prompt_continuation=lambda width, number, wrapped: " " * width,
        )  # fmt: skip

    def ask(self) -> str:
        """One message. Raises `EOFError` for ^D, `KeyboardInterrupt` for ^C."""
        from prompt_toolkit.patch_stdout import patch_stdout

        with patch_stdout(raw=True):
            return self.session.prompt([("class:prompt", "› ")])

    def question(self, text: str) -> str:
        """A short question."""
        from prompt_toolkit import PromptSession

        try:
            answer: str = PromptSession().prompt(text)
        except (EOFError, KeyboardInterrupt):
            return "n"
        return answer

    def _toolbar(self) -> "AnyFormattedText":
        columns = self.session.app.output.get_size().columns
        text = f" {self.below()}"
        return [("class:below", text if len(text) < columns else text[: columns - 1] + "…")]


def _style() -> Any:
    from prompt_toolkit.styles import Style

    return Style.from_dict({"prompt": "bold ansigreen", "bottom-toolbar": "noreverse", "below": "ansibrightblack"})


def _keys() -> "KeyBindings":
    """Enter sends; after a backslash, and with Alt, it begins a line. A paste may have several (bracketed paste)."""
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def send(event: Any) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def line(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def clear(event: Any) -> None:
        if not event.current_buffer.text:
            event.app.exit(exception=KeyboardInterrupt)
        event.current_buffer.reset()

    return keys


def _completer(agents: tuple[str, ...]) -> "Completer":
    from prompt_toolkit.completion import Completer, Completion, PathCompleter
    from prompt_toolkit.document import Document

    paths = PathCompleter(expanduser=True)

    class Commands(Completer):
        """What may stand after a slash, then what that command takes."""

        def get_completions(self, document: Document, event: Any) -> "Iterator[Completion]":
            text = document.text_before_cursor
            if text.startswith("/attach "):
                part = text.removeprefix("/attach ")
                yield from paths.get_completions(Document(part, len(part)), event)
            elif text.startswith("/assign "):
                part = text.removeprefix("/assign ")
                yield from (Completion(name, -len(part)) for name in agents if name.startswith(part))
            elif text.startswith("/") and " " not in text:
                found = [f"/{name}" for name in NAMES if f"/{name}".startswith(text)]
                yield from (Completion(name, -len(text)) for name in found)

    return Commands()
