"""The output of a command: its head and its tail, whatever it writes."""


class Capped:
    """Keeps the first and the last half of `limit` bytes; holds less than one and a half times that, and a chunk."""

    def __init__(self, limit: int) -> None:
        self._head, self._head_limit = bytearray(), (limit + 1) // 2
        self._tail, self._tail_limit = bytearray(), limit // 2
        self.total = 0

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.total += len(chunk)
        room = self._head_limit - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * self._tail_limit:
            self._trim()

    def _trim(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._tail_limit)]

    def result(self) -> tuple[bytes, int]:
        """What is kept, and how many bytes between head and tail are not."""
        self._trim()
        return bytes(self._head + self._tail), self.total - len(self._head) - len(self._tail)
