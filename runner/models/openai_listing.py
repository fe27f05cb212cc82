"""What an endpoint's list of models (`GET /models`) says about one of them. Pure."""

import difflib
from collections.abc import Sequence
from typing import Any

from runner.errors import UserError
from runner.models import Abilities
from runner.models.openai_failures import Server


def abilities(listed: Sequence[dict[str, Any]], where: Server, context: int, *, variants: bool) -> Abilities:
    """The window, at most `context`, and whether tools can be called (yes, where the list does not tell).

    `variants`: a suffix such as `:free` or `:nitro` is a way of routing, and not always listed. Raises `UserError`
    with the nearest names when the model is not served.
    """
    by_name = {str(model.get("id")): model for model in listed}
    model = by_name.get(where.model) or (by_name.get(where.model.partition(":")[0]) if variants else None)
    if model is None:
        raise _unlisted(where, list(by_name))
    window = model.get("context_length") or model.get("max_model_len")
    supported = model.get("supported_parameters")
    return Abilities(
        min(context, window) if isinstance(window, int) else context,
        "tools" in supported if isinstance(supported, list) else True,
    )


def _unlisted(where: Server, names: list[str]) -> UserError:
    near = difflib.get_close_matches(where.model, names, n=3, cutoff=0.4) or names[:3]
    remedy = f"Correct `model` of the agent in agents.yaml; served are for example: {', '.join(near)}."
    return UserError(f"{where.endpoint} serves no model {where.model}", remedy)
