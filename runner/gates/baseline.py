"""How the checks go on the base commit, without anybody's change: what can be asked of one, and what it must add to."""

import hashlib
import tempfile
from pathlib import Path

import msgspec

from runner.agents import Settings
from runner.errors import UserError
from runner.gates.checks import Bench, Verdict, network, run_checks
from runner.gates.tally import Tally
from runner.record import Gate


class Baseline(msgspec.Struct, frozen=True):
    """How one check went on base: its exit status (None: it did not end by itself) and what it counted."""

    command: str
    exit: int | None
    tally: Tally | None = None

    @property
    def passed(self) -> bool:
        """Whether base passes it."""
        return self.exit == 0


def baseline(bench: Bench, base: str, settings: Settings) -> tuple[Baseline, ...]:
    """How each check goes on the base commit. Remembered on this host, per commit, setup, checks and network.

    Raises `UserError` where base cannot be tried: without it nothing would be asked of any change.
    """
    if not settings.checks:
        return ()
    what = msgspec.json.encode((base, settings.setup, settings.checks, network(settings.policy)))
    known = bench.state / "baseline" / f"{hashlib.sha256(what).hexdigest()}.json"
    if known.exists():
        return msgspec.json.decode(known.read_bytes(), type=tuple[Baseline, ...])
    found = run_checks(bench, base, settings, settings.checks, "base")
    _refuse(found)
    rows = tuple(Baseline(one.gate.command, one.gate.exit, one.tally) for one in found)
    _remember(known, msgspec.json.encode(rows))
    return rows


def _refuse(found: tuple[Verdict, ...]) -> None:
    for one in found:
        if one.gate.name == "setup":
            what = f"setup fails on the base branch:\n{one.detail}"
            raise UserError(what, "mend `setup` in agents.yaml or the repository")
        if one.ending == "disk":
            raise UserError(f"the checks cannot run on the base branch:\n{one.detail}", "make room on this disk")


def _remember(path: Path, data: bytes) -> None:
    """Two processes may be at the same commit: each writes a file of its own, and one of them stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, scratch = tempfile.mkstemp(dir=path.parent)
    with open(number, "wb") as file:
        file.write(data)
    Path(scratch).replace(path)


def passing_on(bench: Bench, base: str, settings: Settings) -> tuple[str, ...]:
    """The checks that pass on the base commit, which is what can be asked of a change."""
    return tuple(one.command for one in baseline(bench, base, settings) if one.passed)


def left_out(bench: Bench, base: str, settings: Settings) -> tuple[Verdict, ...]:
    """What is not asked of a change, in so many words: a check that nobody sees run is missed by nobody."""
    return tuple(
        Verdict(Gate("checks left out", f"base fails it too: {one.command}", 0, 0.0))
        for one in baseline(bench, base, settings)
        if not one.passed
    )


def compared(bench: Bench, base: str, settings: Settings, found: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Verdicts on checks that a change has to pass, those that base fails as well marked as such: it may not be the
    change that has to be mended."""
    if all(one.gate.passed or one.gate.name == "setup" for one in found):
        return found
    passing = passing_on(bench, base, settings)
    return tuple(one if one.gate.passed or one.gate.command in passing else _as_on_base(one) for one in found)


def _as_on_base(found: Verdict) -> Verdict:
    return found._replace(detail=f"{found.detail}\nBase fails it too.", brief=f"base fails it too; {found.brief}")
