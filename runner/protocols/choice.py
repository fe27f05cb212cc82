"""Which protocol a model starts with. Capability is not ability (docs/models.md, R7), so names and sizes count too."""

import re
from typing import Literal

from runner.models import Abilities

Name = Literal["native", "json", "text"]
Setting = Literal["auto", "native", "json", "text"]

# Families whose `tools` capability is missing or does not hold: gemma3's template has none and will not get one
# (ollama#9680); qwen2.5-coder has one and answers with bare JSON in the text (ollama#12174, #13519).
_JSON_FAMILIES = ("gemma3", "qwen2.5-coder")

# Below this size native calls fail too often (docs/models.md, "Choosing and changing the protocol").
SMALLEST_NATIVE = 7.0


def choose(setting: Setting, abilities: Abilities, model: str) -> Name:
    """The protocol to begin with: what the agent's entry says, else by what the preflight found and the model's name.

    `model` is a name as Ollama (`gemma3:4b`) or OpenRouter (`qwen/qwen3-32b`) writes it.
    """
    if setting != "auto":
        return setting
    family = model.rpartition("/")[2].lower()
    if not abilities.tools or family.startswith(_JSON_FAMILIES):
        return "json"
    size = billions(family)
    return "json" if size is not None and size < SMALLEST_NATIVE else "native"


def billions(model: str) -> float | None:
    """The size that a model's name tells, in 10⁹ parameters: `llama3.2:3b` → 3.0, `smollm2:135m` → 0.135."""
    match = re.search(r"(?:^|[:\-_])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", model.lower())
    if match is None:
        return None
    return float(match[1]) * (1.0 if match[2] == "b" else 0.001)
