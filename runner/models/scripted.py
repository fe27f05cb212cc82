"""A model that says what a file tells it to: for the demo, the examples and tests, with no network and no weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from runner.errors import UserError
from runner.models import Abilities, ModelError, Reply, Request, ToolCall
from runner.models.wire import characters, estimated_tokens

SHAPE = "Give a mapping of stages to lists of {text: …, calls: [{name: …, arguments: {…}}]}."


class _Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] = {}


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str = ""
    calls: tuple[_Call, ...] = ()


Script = dict[str, tuple[_Line, ...]]


class Scripted:
    """The replies of `stage` out of a YAML file, or out of a mapping of the same shape.

    Reply number n answers the request whose `turn` is n, so that a run that is taken up again goes on where it was.
    """

    def __init__(self, source: Path | Mapping[str, Any], stage: str, *, context: int = 32768) -> None:
        self.name = "scripted"
        self._source = source
        self._stage = stage
        self._context = context
        self._read: Script | None = None

    def check(self) -> Abilities:
        """The window that was given; tools can be called. Raises `UserError` for a file that cannot be read."""
        self._replies()
        return Abilities(self._context, tools=True)

    load = check

    def identity(self) -> str:
        """Nothing: a script makes the calls that stand in it."""
        return ""

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """The reply of that turn, tokens estimated so that budgets count. Raises `ModelError` when there is none."""
        lines = self._replies().get(self._stage, ())
        if request.turn >= len(lines):
            where = f"{self._origin}: {self._stage} has {len(lines)} replies"
            raise ModelError("refused", f"{where}, none for turn {request.turn}.")
        line = lines[request.turn]
        if on_text is not None and line.text:
            on_text(line.text)
        length = len(line.text) + sum(len(str(call.arguments)) for call in line.calls)
        return Reply(
            line.text,
            tuple(ToolCall(call.name, call.arguments, f"call_{request.turn}") for call in line.calls),
            prompt_tokens=estimated_tokens(characters(request)),
            completion_tokens=estimated_tokens(length),
            model=self.name,
        )

    def stop(self) -> None:
        """Nothing: it has said everything at once."""

    @property
    def _origin(self) -> str:
        return str(self._source) if isinstance(self._source, Path) else "the script"

    def _replies(self) -> Script:
        if self._read is None:
            self._read = _script(self._source, self._origin)
        return self._read


def _script(source: Path | Mapping[str, Any], origin: str) -> Script:
    try:
        written = yaml.load(source.read_bytes(), yaml.CSafeLoader) if isinstance(source, Path) else source
        stages = msgspec.convert(written, dict[str, Any])
    except OSError as problem:
        remedy = "Correct `endpoint` of the scripted agent in agents.yaml: the file of its replies."
        raise UserError(f"{origin}: {problem.strerror}", remedy) from problem
    except (yaml.YAMLError, msgspec.ValidationError, ValueError, RecursionError) as problem:
        raise UserError(f"{origin}: {problem}", SHAPE) from problem
    return {stage: _lines(lines, f"{origin}: {stage}") for stage, lines in stages.items()}


def _lines(written: object, where: str) -> tuple[_Line, ...]:
    """Each line checked by itself, so that a complaint tells its number as `Request.turn` counts."""
    if not isinstance(written, list):
        raise UserError(f"{where}: not a list", SHAPE)
    return tuple(_line(line, f"{where}[{turn}]") for turn, line in enumerate(written))


def _line(written: object, where: str) -> _Line:
    try:
        return msgspec.convert(written, _Line)
    except msgspec.ValidationError as problem:
        raise UserError(f"{where}: {problem}", SHAPE) from problem
