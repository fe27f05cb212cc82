"""How a stage's work reaches the hub: on the way, held with a reason, or gated and ready. Each ends in one leased push.

Every function returns a sentence that says how the stage stands now; when the branch turns out not to be ours any
more, nothing was changed and the sentence says that.
"""

from pathlib import Path

from runner import git, policy, wording, workspace
from runner.claims import Lost
from runner.claims.lease import Lease
from runner.claims.pulse import Pulse
from runner.errors import ToolError
from runner.gates import evidence, paperwork
from runner.gates.checks import Bench
from runner.host import lock, logs_of
from runner.lifecycle import Stage
from runner.record import Hold, HoldKind
from runner.stage import outgoing
from runner.workspace import Workspace, providing

CANNOT = "the work cannot be taken: "


def checkpoint(lease: Lease, space: Workspace, trajectory: bytes) -> Lost | None:
    """Push what is there: the lease is renewed, and another host could go on from here."""
    made = lease.commit(_taken(lease, space), wording.checkpoint(lease.ref, lease.entry))
    answer = lease.push(made, trajectory)
    return answer if isinstance(answer, Lost) else None


def hold(lease: Lease, space: Workspace, reason: str, kind: HoldKind, trajectory: bytes) -> str:
    """Publish the work as it is, held for `reason`."""
    made = lease.commit(_taken(lease, space), wording.work(lease.ref, lease.entry, reason))
    return _held(lease, made, reason, kind, trajectory)


def judge(lease: Lease, tree: str, summary: str, trajectory: bytes | None) -> str:
    """Run the gates on a commit of `tree`; publish it as ready, or held with what the first failing gate found."""
    parents = [lease.head]
    if lease.pending is not None and not _conflicted(lease, tree):
        parents.append(lease.pending)
        lease.change(base=lease.pending)
    gated = lease.commit(tree, wording.work(lease.ref, lease.entry, summary), *parents)
    place = f"{lease.ref.task}  {lease.ref.stage}"
    with Pulse(lease):
        verdicts = evidence.judge(
            bench(lease), case(lease, gated), lambda one: lease.host.say(f"{place}  gate {wording.gate_line(one.gate)}")
        )
    gates = tuple(verdict.gate for verdict in verdicts)
    lease.change(gated=gated, gates=gates, sandbox=lease.host.sandbox.level)
    failed = next((verdict for verdict in verdicts if not verdict.gate.passed), None)
    if failed is None:
        return _ready(lease, gated, trajectory)
    reason = f"gate failed: {failed.gate.name}: {wording.one_line(failed.brief or failed.detail, 200)}"
    findings = f'The gate "{failed.gate.name}" failed.\n{failed.detail}'
    allowed = _allowed(lease, tree)
    kept = gated if allowed == tree else lease.commit(allowed, wording.work(lease.ref, lease.entry, summary), *parents)
    return _held(lease, kept, reason, "failure", trajectory, findings)


def refuse(lease: Lease, reason: str, trajectory: bytes) -> str:
    """Publish that the work cannot even be taken from the workspace; the branch keeps what it had."""
    return _held(lease, lease.head, CANNOT + reason, "failure", trajectory)


def lay_out(lease: Lease, space: Workspace, tree: str) -> None:
    """Put the files of a commit or tree into the workspace, in place of what is there."""
    note = wording.readme(lease.task.id, lease.history.record.request.title, lease.task.folder)
    workspace.prepare(space, lease.host.repo, tree, note)
    stay(lease, space)


def stay(lease: Lease, space: Workspace) -> None:
    """What belongs around the files, which stay as they are."""
    with lock(lease.host.state, f"global.{lease.agent.name}"):
        providing.provide(space.shared, lease.host.repo, lease.entry.base)
    workspace.ensure_git(space, lease.host.sandbox)


def _ready(lease: Lease, gated: str, trajectory: bytes | None) -> str:
    lease.change(state="ready", progress=100, finished=lease.host.timestamp(), hold=None)
    if lease.ref.stage is Stage.COMPLETE:
        lease.result(_result_path(lease, gated))
    lease.note("status_change", f"{lease.ref.stage} is ready: {len(lease.entry.gates)} gates passed")
    made = lease.commit(None, wording.ready(lease.ref, lease.entry), gated)
    answer = lease.push(made, trajectory)
    return answer.reason if isinstance(answer, Lost) else f"{lease.ref.stage} is ready"


def _held(lease: Lease, on: str, reason: str, kind: HoldKind, trajectory: bytes | None, findings: str = "") -> str:
    lease.change(state="held", hold=Hold(wording.one_line(reason, 500), lease.host.timestamp(), kind))
    lease.note("note", findings or reason)
    made = lease.commit(None, wording.held(lease.ref, lease.entry), on)
    answer = lease.push(made, trajectory)
    return answer.reason if isinstance(answer, Lost) else reason


def _taken(lease: Lease, space: Workspace) -> str:
    """The workspace's tree, or that of the branch while the workspace holds something that cannot be taken."""
    try:
        return _allowed(lease, outgoing.collect(lease, space))
    except ToolError:
        return git.tree_of(lease.host.repo, lease.head)


def _allowed(lease: Lease, tree: str) -> str:
    """`tree` with the protected paths as the branch has them: work that is held carries no change to them, since a hub
    may refuse the whole push for one (GitHub does, for workflow files)."""
    repo = lease.host.repo
    touched = policy.touches(git.changed(repo, lease.head, tree), lease.settings.policy.protected)
    if not touched:
        return tree
    before = {
        file.path: f"{file.mode} {file.blob}\t{file.path}" for file in git.files(repo, lease.pending or lease.head)
    }
    return git.tree_from(repo, tree, [before.get(path, f"0 {'0' * 40}\t{path}") for path in touched])


def _conflicted(lease: Lease, tree: str) -> bool:
    """Whether a file that conflicted with base still has conflict markers."""
    texts = [git.read(lease.host.repo, tree, path) or b"" for path in lease.conflicts]
    return any(b"\n<<<<<<< " in b"\n" + text and b"\n>>>>>>> " in text for text in texts)


def _result_path(lease: Lease, commit: str) -> str | None:
    summary = git.read(lease.host.repo, commit, f"{lease.task.folder}/summary.md") or b""
    return paperwork.summary(summary.decode("utf-8", "replace"))[1]


def bench(lease: Lease) -> Bench:
    """Where this lease's checks run."""
    return Bench(lease.host.repo, lease.host.sandbox, lease.host.state, logs(lease))


def logs(lease: Lease) -> Path:
    """The folder on this host for the full output of the stage's gates."""
    return logs_of(lease.host.state, lease.ref)


def case(lease: Lease, commit: str) -> evidence.Case:
    """What the gates are asked of a commit."""
    return evidence.Case(
        stage=lease.ref.stage,
        commit=commit,
        target=lease.target,
        accepted=lease.accepted,
        base=lease.entry.base,
        folder=lease.task.folder,
        record=lease.history.record,
        settings=lease.settings,
    )
