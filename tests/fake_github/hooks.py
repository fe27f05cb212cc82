"""A repository's webhook: signed deliveries from a thread of its own, and by chance what becomes of them."""

import contextlib
import hashlib
import hmac
import json
import queue
import random
import threading
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx


class Chance(NamedTuple):
    """How often (0 to 1) a delivery fails and is listed as failed, is lost without a trace, comes twice, comes late."""

    failed: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0


SMOOTH = Chance()
ROUGH = Chance(failed=0.2, lost=0.15, doubled=0.3, late=0.4)


@dataclass
class Delivery:
    """One attempt at a delivery. `status` is what was answered, 0 while nothing was."""

    id: int
    guid: str
    event: str
    body: bytes
    status: int = 0
    again: bool = False


class Hook:
    """A webhook at `url`. `counts` says what became of the events; `allowed` whether tokens may see its deliveries."""

    id = 8101

    def __init__(self, url: str, secret: str, chance: Chance = SMOOTH, seed: int = 0, allowed: bool = True) -> None:
        self.url, self.secret, self.chance, self.allowed = url, secret, chance, allowed
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.deliveries: list[Delivery] = []
        self._waiting: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._late: list[Delivery] = []
        self._client = httpx.Client(timeout=60)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send nothing more."""
        self._waiting.put(None)
        self._thread.join(60)
        self._client.close()

    def fire(self, event: str, payload: dict[str, Any]) -> None:
        """Something has happened."""
        self.counts["events"] += 1
        self._waiting.put(Delivery(0, str(uuid.uuid4()), event, json.dumps(payload).encode()))

    def redeliver(self, id: int) -> bool:
        """Send a delivery again, with the guid that it had; whether there is such a one."""
        found = next((each for each in self.deliveries if each.id == id), None)
        if found is not None:
            self.counts["redelivered"] += 1
            self._waiting.put(Delivery(0, found.guid, found.event, found.body, again=True))
        return found is not None

    def shown(self, status: str = "") -> list[dict[str, Any]]:
        """As GitHub lists them: every attempt, the newest first."""
        return [
            _shown(each) for each in reversed(self.deliveries) if status != "failure" or not 200 <= each.status < 400
        ]

    def _work(self) -> None:
        while True:
            try:
                delivery = self._waiting.get(timeout=0.05 if self._late else None)
            except queue.Empty:
                self._send(self._late.pop(self.random.randrange(len(self._late))))
                continue
            if delivery is None:
                return
            self._travel(delivery)

    def _travel(self, delivery: Delivery) -> None:
        """What becomes of it."""
        fate = self.random.random()
        if delivery.again:
            self._send(delivery)
        elif fate < self.chance.failed:
            self.counts["failed"] += 1
            self._note(delivery, 502)
        elif fate < self.chance.failed + self.chance.lost:
            self.counts["lost"] += 1
        else:
            copies = 1 + (self.random.random() < self.chance.doubled)
            self.counts["doubled"] += copies - 1
            for _ in range(copies):
                if self.random.random() < self.chance.late:
                    self.counts["late"] += 1
                    self._late.append(delivery)
                else:
                    self._send(delivery)

    def _send(self, delivery: Delivery) -> None:
        signed = hmac.new(self.secret.encode(), delivery.body, hashlib.sha256).hexdigest()
        headers = {
            "X-GitHub-Event": delivery.event, "X-GitHub-Delivery": delivery.guid, "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={signed}", "User-Agent": "GitHub-Hookshot/fake",
            "X-GitHub-Hook-ID": str(self.id), "X-GitHub-Hook-Installation-Target-Type": "repository",
        }  # fmt: skip
        status = 0
        with contextlib.suppress(httpx.HTTPError):
            status = self._client.post(self.url, content=delivery.body, headers=headers).status_code
        self.counts[f"answered {status}"] += 1
        self._note(delivery, status)

    def _note(self, delivery: Delivery, status: int) -> None:
        number = len(self.deliveries) + 1
        self.deliveries.append(Delivery(number, delivery.guid, delivery.event, delivery.body, status, delivery.again))


def _shown(each: Delivery) -> dict[str, Any]:
    return {
        "id": each.id, "guid": each.guid, "delivered_at": "2026-03-01T00:00:00Z", "redelivery": each.again,
        "duration": 0.1, "status": "OK" if each.status == 202 else "failed to connect", "status_code": each.status,
        "event": each.event, "action": json.loads(each.body).get("action"), "installation_id": None,
        "repository_id": 77,
    }  # fmt: skip
