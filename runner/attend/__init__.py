"""The forge's side of a turn: hear what people said there, show them how their tasks stand. Start reading at `attend`.

Whoever first sees a remark appends it as a command to the task's ref, under the remark's own id; from there on it is
Git like everything else, and nothing below knows which forge it came from.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from runner import commands
from runner.attend.heard import Taken, take
from runner.attend.shown import is_news, shown
from runner.errors import UserError
from runner.forge import Heard, Shown, Watched
from runner.host import Host, lock
from runner.observe import ISSUE, View, observe
from runner.people import letters
from runner.talk import threads

Look = Callable[[], View]


def attend(
    host: Host, view: View | None = None, *, look: Look | None = None, only: frozenset[str] | None = None
) -> View:
    """Hear, append, look again, show; of the tasks `only`, or of all. Returns the view as it is then.

    `view` is the present one if there is one, `look` how to get another (None: all of the hub). What looked first must
    not show last: on this host one process at a time attends, and looks while it does.
    """
    look = look or partial(observe, host.site)
    if not host.forge.talks:
        return view or look()
    with lock(host.state, "attend"):
        return _attend(host, look, only)


def _attend(host: Host, look: Look, only: frozenset[str] | None) -> View:
    view = look()
    heard = host.forge.hear(tuple(watched(view, only)), only)
    taken = take(view, heard, host.timestamp(), threads.known(host, {each.task for each in heard.remarks}))
    for task, command in taken.said:
        commands.append(host.repo, host.hub.url, commands.ref_of(task), command)
    for task, message in taken.spoken:
        threads.keep(host, view.state(task), message)
    view = look() if taken.said or taken.spoken else view
    for number in heard.strangers:
        host.forge.turn_away(number, letters.stranger())
    _show_all(host, [*_refusals(taken), *_news(view, heard, taken, only)])
    if view.settings.policy.talk:
        for state in view.states:
            if ISSUE.fullmatch(state.task.id) and (only is None or state.task.id in only):
                threads.show(host, state.task.id, view.refs.ours.get(f"discussions/{state.task.id}"))
    return view


def _refusals(taken: Taken) -> Iterator[Shown]:
    yield from (Shown(f"issue-{number}", letters.refused(why), refused=True) for number, why in taken.refused)


def _news(view: View, heard: Heard, taken: Taken, only: frozenset[str] | None) -> Iterator[Shown]:
    """How tasks shall look, but those that were just refused."""
    refused = {f"issue-{number}" for number, _ in taken.refused}
    for state in view.states:
        if state.task.id not in refused and (only is None or state.task.id in only) and is_news(state, heard):
            yield shown(view, state, heard, taken)


def _show_all(host: Host, wanted: Iterable[Shown]) -> None:
    """Show each, whatever becomes of another: one that the forge does not take (an issue can be locked) hides none.

    Raises the first `UserError`, in the end.
    """
    faults = []
    for each in wanted:
        try:
            host.forge.show(each)
        except UserError as error:
            faults.append(error)
    if faults:
        raise faults[0]


def watched(view: View, only: frozenset[str] | None = None) -> Iterator[Watched]:
    """Pure: of the tasks `only`, or of all: what of each is open.

    People also talk about what is done: a complete task is listened to as well, one that is not named with less effort.
    """
    for state in view.states:
        if only is None or state.task.id in only:
            accepted = state.standing.accepted
            yield Watched(
                state.task.id,
                state.open.ref if state.open else None,
                state.open.branch if state.open else "",
                accepted.at if accepted else "",
                state.standing.withdrawn is not None,
                done=only is None and state.current is None,
            )
