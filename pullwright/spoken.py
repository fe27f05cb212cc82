"""What is said at the very end of a command: without secrets, and without anything that steers a terminal or a log."""

import os


def clean(text: str) -> str:
    """`text` without the secrets of this environment."""
    from runner.secrets import Redactor, known_values

    return Redactor(known_values(os.environ)).clean(text)


def fit(text: str) -> str:
    """`text` as it may be printed."""
    from runner.parsing.characters import calm

    return calm(clean(text))
