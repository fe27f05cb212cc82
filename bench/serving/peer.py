"""The same as one writes it with Starlette, which FastAPI adds to, and the standard library's sqlite3."""

import hmac
import json
import sqlite3
from hashlib import sha256

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from webhook.rows import COLUMNS

PAGE = (
    f"SELECT {', '.join(f'tasks.{name}' for name in COLUMNS['tasks'])}, agents.name AS agent, reason AS left_alone"
    " FROM tasks LEFT JOIN agents ON agents.id = assigned_agent_id LEFT JOIN left_alone USING (slug)"
    " ORDER BY -priority, coalesce(tasks.created_at, '~'), slug LIMIT ?"
)


def app(deliveries: str, index: str, secret: str) -> Starlette:
    """Deliveries are committed one by one, pages made of rows."""
    conn = sqlite3.connect(deliveries, check_same_thread=False)
    for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
        conn.execute(line)
    conn.execute("CREATE TABLE IF NOT EXISTS deliveries (guid TEXT PRIMARY KEY, event TEXT)")
    reader = sqlite3.connect(index, check_same_thread=False)
    reader.row_factory = sqlite3.Row

    async def webhook(request: Request) -> Response:
        body = await request.body()
        signed = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
        if not hmac.compare_digest(signed, request.headers.get("x-hub-signature-256", "")):
            return Response(status_code=401)
        await request.json()
        row = (request.headers["x-github-delivery"], request.headers["x-github-event"])
        conn.execute("INSERT OR IGNORE INTO deliveries VALUES (?, ?)", row)
        conn.commit()
        return JSONResponse({"delivery": row[0]}, status_code=202)

    async def tasks(request: Request) -> Response:
        rows = reader.execute(PAGE, (int(request.query_params.get("limit", "50")),))
        items = [dict(row) | {"stages": json.loads(row["stages"])} for row in rows]
        return JSONResponse({"items": items, "next": None})

    return Starlette(routes=[Route("/webhook", webhook, methods=["POST"]), Route("/api/tasks", tasks)])
