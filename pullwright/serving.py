"""`pullwright serve` and `pullwright index`."""

import os
import resource
import secrets
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from runner.errors import UserError
from runner.host import Site, site_at
from runner.observe import fetch_refs, read_settings
from runner.progress import Refs
from webhook.options import Options, check, dispatch_of, tokens, words

if TYPE_CHECKING:
    from webhook.index import Index

MOST_OPEN = 65536
RUNNER = (sys.executable, "-c", "from pullwright.cli import main; main()")


def serve(folder: Path, host: str, port: int, dispatch: str) -> None:
    """Serve until somebody ends it. Raises `UserError` for what would leave the service open, deaf or homeless."""
    site = site_at(folder)
    settings = read_settings(site.repo, fetch_refs(site).base)
    writers, readers = (tokens(os.environ, f"PULLWRIGHT_{kind}_TOKEN") for kind in ("API", "READ"))
    options = Options(
        site=site,
        host=host,
        port=port,
        writers=tuple(writers),
        readers=tuple(readers),
        names={token: name for token, name in (readers | writers).items() if name},
        secrets=words(os.environ, "PULLWRIGHT_WEBHOOK_SECRET"),
        dispatch=dispatch_of(dispatch),
        command=RUNNER,
    )
    check(options, settings.forge)
    if options.loopback and not writers:
        own = secrets.token_urlsafe(24)
        options = replace(options, writers=(own,), own=own, ticket=secrets.token_urlsafe(24))
    listener = _listen(host, port)
    for line in _greeting(options, listener.getsockname()[1]):
        click.echo(line)
    _run(options, listener)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # whoever follows the printed link at once waits, and is not refused
    except OSError as error:
        raise UserError(f"cannot serve on {host} port {port}: {error.strerror}", "choose another: --port N") from error
    return listener


def _greeting(options: Options, port: int) -> Iterator[str]:
    """Where the service is. Its own token is told, for nobody else knows it; a configured one is not printed."""
    shown = f"[{options.host}]" if ":" in options.host else options.host
    ticket = f"/?ticket={options.ticket}" if options.ticket else "/"
    yield f"serving {options.site.hub.url} at http://{shown}:{port}{ticket}"
    if options.ticket:
        yield f"token: {options.writers[0]} (the link lets one browser in, once; this any other, and programs)"
    if options.names:
        yield f"tokens with a name: {', '.join(sorted(set(options.names.values())))}"
    yield f"webhooks: {'POST /webhook' if options.secrets else 'none are taken, PULLWRIGHT_WEBHOOK_SECRET is not set'}"
    yield f"runners: {options.dispatch}"


def _run(options: Options, listener: socket.socket) -> None:
    import uvicorn

    from webhook.app import create_app
    from webhook.patience import Patient

    _open_many()
    with _readable(options.index):
        app = create_app(options)
    config = uvicorn.Config(
        app, http=Patient, log_config=None, access_log=False, timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=1 << 16, server_header=False, limit_concurrency=1000, timeout_keep_alive=20,
    )  # fmt: skip
    room = app.inner.state.room

    class Server(uvicorn.Server):
        """Ends the event streams first: they would keep a server that waits for its clients waiting."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            room.ending = True
            super().handle_exit(sig, frame)

    Server(config).run(sockets=[listener])


def _open_many() -> None:
    """Let this process open as many files as it may: each open stream holds some, and the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN)
    if resource.RLIM_INFINITY != soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def rebuild(folder: Path) -> str:
    """Make the index anew; what is as it was is left alone, and a file that cannot be read goes."""
    site = site_at(folder)
    refs, path = fetch_refs(site), Options(site).index
    try:
        number = _rebuilt(site, refs)
    except sqlite3.DatabaseError as error:
        if not _is_damaged(error):
            raise
        for file in path.parent.glob(f"{path.name}*"):  # with its -wal and -shm
            file.unlink()
        number = _rebuilt(site, refs)
    return f"{number} tasks in {path}"


def _rebuilt(site: Site, refs: Refs) -> int:
    with closing(_index(site)) as index:
        index.rebuild(refs)
        return int(index.conn.execute("SELECT count(*) FROM tasks").fetchone()[0])


def verify(folder: Path) -> list[str]:
    """Every row in which the index and Git differ. Raises `UserError` for a file that cannot be read."""
    site = site_at(folder)
    refs = fetch_refs(site)
    with _readable(Options(site).index), closing(_index(site)) as index:
        return index.verify(refs)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises `UserError` where the index's file is damaged, by a disk or a copy that was cut short."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not _is_damaged(error):
            raise
        remedy = "pullwright index rebuild makes it anew from Git: nothing is lost"
        raise UserError(f"the index {path} is damaged: {error}", remedy) from error


def _is_damaged(error: sqlite3.DatabaseError) -> bool:
    """By the primary result code (https://sqlite.org/rescode.html)."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _index(site: Site) -> "Index":
    from webhook.index import Index

    return Index(Options(site).index, site)
