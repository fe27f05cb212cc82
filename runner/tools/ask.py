"""`ask`: a question to a person."""

from typing import Annotated

from msgspec import Meta

from runner.tools.text import plain
from runner.tools.work import Ask, Prose, Work


def ask(work: Work, question: Annotated[str, Meta(min_length=1, max_length=2000), Prose]) -> Ask:
    """Ask the person who wrote the task, and wait. Only for what the repository cannot answer.

    question: one question, such as Should an empty name be refused or ignored?
    """
    return Ask(plain(question))
