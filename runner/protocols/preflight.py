"""Whether a model that claims tool calls makes them, tried once with the real prompt and remembered.

Capability is not ability: models that pass a probe with one tool fail with a prompt of several kilobytes
(docs/models.md, R7). So the probe is the first question of the stage itself.
"""

import contextlib
import json
import os
import tempfile
from pathlib import Path

from runner.models import Abilities, Message, Model, ModelError, ToolSpec
from runner.protocols import native
from runner.protocols.choice import Name, Setting, choose
from runner.protocols.values import Act

# Long enough for a thought and a call, short enough for a processor without a graphics card.
PROBE_TOKENS = 512

_CANNOT = ("no-tools", "tool-syntax")


class Memory:
    """What probes found, by the identity of weights and server, in a file of this host; losing it costs a probe."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self, identity: str) -> Name | None:
        """The protocol that was found for `identity`, None if none was."""
        found = self._read().get(identity)
        return found if found in ("native", "json") else None  # a probe never finds another

    def keep(self, identity: str, protocol: Name) -> None:
        """Remember; of two processes at once the later one wins, and no reader ever sees half a file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
        with os.fdopen(handle, "w") as file:
            json.dump({**self._read(), identity: protocol}, file, indent=1)
        Path(name).replace(self._path)

    def _read(self) -> dict[str, Name]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self._path.read_text())
            return found if isinstance(found, dict) else {}
        return {}


def memory_of(state: Path) -> Memory:
    """What a host remembers; `state` is its folder for state."""
    return Memory(state / "protocols.json")


def settle(
    setting: Setting,
    abilities: Abilities,
    model: Model,
    question: tuple[tuple[Message, ...], tuple[ToolSpec, ...]],
    memory: Memory,
) -> Name:
    """The protocol to begin with: what `choose` says, and for a claim of tool calls what a probe shows.

    A model without an identity is believed without a probe: there the list of models says what is supported. `question`
    is the stage's opening, messages and tools. Raises what `Model.reply` raises when it cannot be asked at all.
    """
    chosen = choose(setting, abilities, model.name)
    if setting != "auto" or chosen != "native" or not (identity := model.identity()):
        return chosen
    remembered = memory.recall(identity)
    if remembered is None:
        remembered = "native" if calls_tools(model, *question) else "json"
        memory.keep(identity, remembered)
    return remembered


def calls_tools(model: Model, messages: tuple[Message, ...], tools: tuple[ToolSpec, ...]) -> bool:
    """Whether the model answers `messages` with a native call of one of `tools`, not with one written as text."""
    asked = native.request(messages, tools, max_tokens=PROBE_TOKENS, temperature=0.0, turn=0)
    try:
        read = native.read(model.reply(asked), tools)
    except ModelError as error:
        if error.kind in _CANNOT:
            return False
        raise
    return isinstance(read, Act) and not read.lifted
