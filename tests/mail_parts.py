"""A real mail server on loopback: STARTTLS, authentication, and what went in."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from web_parts import certificate

from runner.notify import Server

USER, PASSWORD = "pullwright", "mail-passw0rd-42"


class Mailbox:
    """What arrived. `answers` are what the end of a letter is answered with first, instead of 250."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.answers: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer == "drop":
            self._take(envelope)
            server.transport.abort()
            return "250 never heard"
        if answer.startswith("250"):
            self._take(envelope)
        return answer

    def _take(self, envelope: Any) -> None:
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)


class _Listening(Controller):
    """On a port that the system gives, so that nobody else can have it meanwhile."""

    def _create_server(self) -> Any:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        return self.loop.create_server(self._factory_invoker, sock=listener)


@contextmanager
def mail_server(folder: Path) -> Iterator[tuple[Mailbox, Server]]:
    """A server that takes mail only after STARTTLS and with the right password."""
    files = certificate(folder, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    box = Mailbox()

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()))

    controller = _Listening(
        box, hostname="127.0.0.1", tls_context=context, require_starttls=True, authenticator=check, auth_required=True,
        auth_require_tls=True, server_hostname="localhost", ready_timeout=60.0,
    )  # fmt: skip
    controller.start()
    try:
        yield box, Server("localhost", controller.port, "Pullwright <bot@example.org>", "starttls", USER, PASSWORD,
                          str(files.ca))  # fmt: skip
    finally:
        controller.stop()
