"""Having a model in memory before it is asked anything, and what `/api/ps` then tells of it. Pure."""

from typing import Any

from runner.models import Abilities

# Below this share of it on the graphics card, a model is felt to be slow: each layer on the processor is waited for.
MOST_OF_IT = 0.9


def load_body(model: str, context: int, keep_alive: str) -> dict[str, Any]:
    """A `POST /api/chat` without messages, which loads and says nothing (Ollama's api.md, "Load a model").

    The options are those of every later request: others would load it once more (docs/models.md, R3).
    """
    options = {"num_ctx": context}
    return {
        "model": model,
        "messages": [],
        "stream": True,
        "shift": False,
        "keep_alive": keep_alive,
        "options": options,
    }


def loaded(entry: dict[str, Any], abilities: Abilities) -> Abilities:
    """`abilities` with the window that was really loaded, and a note where it does not all fit.

    `entry` is the model's in `/api/ps`, empty where a proxy or an old server has no such list.
    """
    told = entry.get("context_length")
    window = told if isinstance(told, int) and 0 < told < abilities.context else abilities.context
    notes = [_smaller(abilities.context, window), _in_parts(entry)]
    return Abilities(window, abilities.tools, " ".join(note for note in notes if note))


def _smaller(asked: int, window: int) -> str:
    if window >= asked:
        return ""
    return f"The server loaded a window of {window} tokens instead of {asked}: prompts are kept to that."


def _in_parts(entry: dict[str, Any]) -> str:
    """Memory fit: `size` is all that the model takes, `size_vram` what of it lies on graphics cards."""
    size, on_cards = entry.get("size"), entry.get("size_vram")
    if not (isinstance(size, int) and isinstance(on_cards, int)) or not 0 < on_cards < size * MOST_OF_IT:
        return ""
    return (
        f"{on_cards / 1e9:.1f} of {size / 1e9:.1f} GB fit on the graphics card and the rest runs on the processor: "
        "slow. A smaller `context` or model would fit."
    )
