"""GitHub Apps: who one is by its own word, and the tokens that it is given."""

import time
import uuid
from typing import Any

import jwt

from fake_github.state import World
from fake_github.values import Refusal, Token

TOKEN_LIFE = 3600.0


def install(world: World, public_key: str) -> int:
    """Install an App with write access; returns its id."""
    world.app = {"id": 4242, "slug": "pullwright-test", "key": public_key}
    world.user("pullwright-test[bot]", "write", id=90001, type="Bot")
    return 4242


def is_apps(bearer: str) -> bool:
    """Whether it is an App's own word, and none of its tokens."""
    return bearer.count(".") == 2 and not bearer.startswith("ghs_")


def answer(
    world: World, minted: list[dict[str, Any]], name: str, fields: dict[str, str], bearer: str, body: Any
) -> tuple[int, Any]:
    """A request as the App itself; what a token was asked to be is added to `minted`."""
    app = _known(world, bearer)
    slug = app["slug"]
    if name == "GET /app":
        return 200, {"id": app["id"], "slug": slug, "name": slug, "permissions": {}, "events": []}
    if name == "GET /repos/{owner}/{repo}/installation":
        return 200, {"id": 31, "app_id": app["id"], "app_slug": slug, "permissions": {}, "events": []}
    if name != "POST /app/installations/{installation_id}/access_tokens" or fields["installation_id"] != "31":
        raise Refusal(404, "Not Found")
    minted.append(body)
    return 201, _minted(world, app, body.get("permissions", {}))


def _known(world: World, bearer: str) -> dict[str, Any]:
    app = world.app
    if app is None:
        raise Refusal(401, "A JSON web token could not be decoded")
    try:
        claims = jwt.decode(bearer, app["key"], algorithms=["RS256"])
    except jwt.PyJWTError as error:
        raise Refusal(401, "A JSON web token could not be decoded") from error
    if str(claims["iss"]) != str(app["id"]) or claims["exp"] - claims["iat"] > 660:
        raise Refusal(401, "'Issuer' claim is wrong or 'Expiration time' is too far in the future")
    return app


def _minted(world: World, app: dict[str, Any], permissions: dict[str, str]) -> dict[str, Any]:
    text = f"ghs_{app['id']}_{uuid.uuid4().hex}.{uuid.uuid4().hex}.{uuid.uuid4().hex}"
    end = time.time() + TOKEN_LIFE
    user = world.users[f"{app['slug']}[bot]"]
    world.tokens[text] = Token(user, app=True, actions="actions" in permissions, expires=end)
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    return {"token": text, "expires_at": until, "permissions": permissions}
