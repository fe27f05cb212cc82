"""Under which name something is written: that of the token which let it in, else the one that is given. Pure."""

import re
import unicodedata

from runner.talk.messages import line_of
from webhook import access
from webhook.options import Options

# In full width too, which few can tell from the plain ones.
_ADDRESS = re.compile("[<\uff1c\ufe64][^<>\uff1c\uff1e\ufe64\ufe65]*[>\uff1e\ufe65]|[<>\uff1c\uff1e\ufe64\ufe65]")
_NUMBER = re.compile(r"(?:\s*[(\uff08]\d+[)\uff09])+\s*$")


class Taken(Exception):
    """The name that was given is one that a token carries, and this one does not."""


def author(options: Options, token: str, given: str) -> str:
    """Who says what came in with `token`, as histories write it. Raises `Taken`.

    A token's own name stands before `<token>`, which nobody can give; what was `given` besides does not count.
    """
    own = access.name(options, token)
    if own:
        return f"{own} <token>"
    if is_taken(options, given):
        raise Taken(f"{signed(given)} is the name of a token: come with that one, or give another name")
    return signed(given)


def is_taken(options: Options, given: str) -> bool:
    """Whether a name is a token's, however it is written."""
    return _same(signed(given)) in map(_same, options.names.values())


def _same(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def named(who: str) -> str:
    """A name on one line, with nothing in it that is not seen; or that there is none."""
    return line_of(who).strip() or "the API"


def signed(who: str) -> str:
    """The name that somebody gave over the API. It proves nothing, and so looks like none that does: the `Name <mail>`
    of Git, the `name (number)` of GitHub or the `name <token>` of a token."""
    return named(_NUMBER.sub("", _ADDRESS.sub("", line_of(who))))
