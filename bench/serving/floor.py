"""The least that does the same: bare ASGI. Deliveries share transactions and fsyncs; a page is made in SQL."""

import asyncio
import hmac
import queue
import sqlite3
import threading
from concurrent.futures import Future
from hashlib import sha256
from typing import Any

from webhook.queries import TASK
from webhook.store import ORDER

PAGE = f"SELECT json_group_array({TASK}) FROM (SELECT * FROM tasks ORDER BY {ORDER} LIMIT 50) AS tasks"


class Floor:
    """One database for deliveries, one to read."""

    def __init__(self, deliveries: str, index: str, secret: str) -> None:
        self.secret = secret.encode()
        self.conn = sqlite3.connect(deliveries, check_same_thread=False, isolation_level=None)
        for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
            self.conn.execute(line)
        self.conn.execute("CREATE TABLE IF NOT EXISTS deliveries (guid TEXT PRIMARY KEY, event TEXT)")
        self.reader = sqlite3.connect(index)
        self.kept = (-1, b"")
        self.waiting: queue.SimpleQueue[tuple[str, str, Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self) -> None:
        while True:
            batch = [self.waiting.get()]
            while not self.waiting.empty() and len(batch) < 256:
                batch.append(self.waiting.get())
            self.conn.execute("BEGIN IMMEDIATE")
            rows = [(guid, event) for guid, event, _ in batch]
            self.conn.executemany("INSERT OR IGNORE INTO deliveries VALUES (?, ?)", rows)
            self.conn.commit()
            for _, _, done in batch:
                done.set_result(None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        if scope["method"] == "POST":
            await self._webhook(scope, receive)
            await _answer(send, 202, b"{}")
        else:
            await _answer(send, 200, self._page(b"n=" in scope["query_string"]))

    async def _webhook(self, scope: Any, receive: Any) -> None:
        headers, body, more = dict(scope["headers"]), b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        signed = b"sha256=" + hmac.new(self.secret, body, sha256).hexdigest().encode()
        assert hmac.compare_digest(signed, headers[b"x-hub-signature-256"])
        done: Future[None] = Future()
        self.waiting.put((headers[b"x-github-delivery"].decode(), headers[b"x-github-event"].decode(), done))
        await asyncio.wrap_future(done)

    def _page(self, anew: bool) -> bytes:
        (version,) = self.reader.execute("PRAGMA data_version").fetchone()
        if anew or self.kept[0] != version:
            self.kept = version, self.reader.execute(PAGE).fetchone()[0].encode()
        return self.kept[1]


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
