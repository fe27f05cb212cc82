"""The one command: parse, call, print. Commands import what they need when they run, so that `--help` is quick."""

import locale
import os
import sys
from pathlib import Path
from typing import Any

import click

from pullwright.ending import status_of
from pullwright.watching import has_colours

VERSION = "0.1.0"

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


class InOrder(click.Group):
    """Lists its commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="pullwright")
@click.pass_context
def cli(context: click.Context) -> None:
    """AI agents take a task through design, build, test, review and complete, inside Git.

    A task is a file in tasks/ on the base branch; every stage arrives as a proposal; merging is the approval.

    \b
    pullwright init                         make this repository ready
    pullwright task new "Fix login"         say what is wanted
    pullwright run                          let the agents work
    pullwright review fix-login --approve   merge what waits for you
    """
    context.color = None if has_colours(sys.stdout) else False


@cli.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--model", metavar="NAME", default="gemma3:4b", show_default=True, help="The model of the first agent.")
@click.option(
    "--endpoint", metavar="URL", default="http://localhost:11434", show_default=True, help="Where it answers."
)
@click.option(
    "--forge",
    type=click.Choice(["local", "github"]),
    default="local",
    show_default=True,
    help="Where proposals live: plain Git, or pull requests on GitHub (adds the issue form and the workflow).",
)
@click.option("--no-commit", is_flag=True, help="Write the files and leave the commit to you.")
def init(folder: Path, model: str, endpoint: str, forge: str, no_commit: bool) -> None:
    """Make a repository ready for tasks; overwrites nothing.

    Writes agents.yaml, tasks/, schemas for editors, and marks records as generated in .gitattributes.
    """
    from pullwright.init import initialise

    for line in initialise(folder, model, endpoint, commit=not no_commit, forge=forge):
        click.echo(line)


@cli.command()
@click.option("--load", is_flag=True, help="Load each model too: its real window, and its tool calls tried.")
@json_option
def doctor(as_json: bool, load: bool) -> int:
    """Look at all that work needs, and say what to mend.

    That is git, sandbox, hub, settings, tasks, models and disk. Ends with 1 where something must be mended.
    """
    from pullwright.doctor import doctor as examine

    return examine(Path.cwd(), as_json, load)


@cli.group(cls=InOrder)
def task() -> None:
    """Make, list and show tasks."""


@task.command("new")
@click.argument("title")
@click.option("-d", "--description", default="", help="What is wanted; `-` reads it from standard input.")
@click.option("-c", "--complexity", type=click.IntRange(1, 10), help="1 a typo … 10 a redesign.")
@click.option("-p", "--priority", type=int, help="Higher first; the default is 5.")
@click.option("-a", "--accept", multiple=True, metavar="LINE", help="What the test stage must show; may be repeated.")
@click.option("-s", "--stages", metavar="A,B,…", help="A shorter list of stages.")
@click.option("--depends-on", multiple=True, metavar="ID", help="A task that must be complete first; may be repeated.")
@click.option("--id", "slug", metavar="SLUG", help="The id; made from the title if left out.")
@click.option("--no-commit", is_flag=True, help="Write the file and leave the commit to you.")
def task_new(title: str, no_commit: bool, **given: Any) -> None:
    """Write a task file and commit just that.

    It says whether the file still has to be pushed or merged: a task counts once it is on the hub's base branch.
    """
    from pullwright.authoring import new_task

    if given["description"] == "-":
        given["description"] = sys.stdin.read()
    for line in new_task(Path.cwd(), title, commit=not no_commit, **given):
        click.echo(line)


@task.command("list")
@json_option
def task_list(as_json: bool) -> None:
    """Every task: where it stands, and what is next."""
    from pullwright.tasks import list_tasks

    list_tasks(Path.cwd(), as_json)


@task.command("show")
@click.argument("id")
@click.option("--follow", is_flag=True, help="Then tell what happens, until the task waits for you or is complete.")
@json_option
def task_show(id: str, follow: bool, as_json: bool) -> None:
    """One task: its stages with their gates, what is next, its history."""
    if follow and as_json:
        raise click.UsageError("--follow and --json exclude each other")
    from pullwright.tasks import follow_task, show_task

    if follow:
        follow_task(Path.cwd(), id)
        return
    show_task(Path.cwd(), id, as_json)


@cli.command()
@click.option("--task", "task_id", metavar="ID", help="Only this task.")
@click.option("--stage", "only_stage", metavar="S", help="Only while the task stands at this stage.")
@click.option("--once", is_flag=True, help="Take one turn.")
@click.option(
    "--watch", "forever", is_flag=True, help="Go on for ever; ^C ends it, and the next run goes on from there."
)
@click.option("--plain", is_flag=True, help="Plain lines instead of the live view, as in a pipe.")
def run(task_id: str | None, only_stage: str | None, once: bool, forever: bool, plain: bool) -> int:
    """Let the agents work until nothing can be done without you.

    It takes turns: claims stages, works on them in the sandbox, runs the gates, merges what the policy allows. On a
    terminal one watches, and steps in with keys: ? lists them.
    """
    if once and forever:
        raise click.UsageError("--once and --watch exclude each other")
    from pullwright.running import run_here

    return run_here(Path.cwd(), task=task_id, stage=only_stage, once=once, forever=forever, plain=plain)


@cli.command()
@click.option("--task", "task_id", metavar="ID", help="Only this task.")
@json_option
def plan(task_id: str | None, as_json: bool) -> None:
    """What the next turn would do, and why, without doing it."""
    from pullwright.running import plan_here

    plan_here(Path.cwd(), as_json, task_id)


@cli.command()
@click.argument("id")
@click.option("--approve", is_flag=True, help="Merge the proposal.")
@click.option("--head", metavar="SHA", help="With --approve: only if the proposal is still this commit.")
@click.option("--comment", metavar="TEXT", help="Send the stage back to its agent with this.")
@click.option("--reject", metavar="TEXT", help="Close the proposal; `pullwright retry` starts the next attempt.")
def review(id: str, approve: bool, head: str | None, comment: str | None, reject: str | None) -> None:
    """Answer a proposal: approve it, comment on it, or reject it."""
    if sum((approve, comment is not None, reject is not None)) != 1:
        raise click.UsageError("say one of --approve, --comment TEXT, --reject TEXT")
    if head is not None and not approve:
        raise click.UsageError("--head says what is approved: it goes with --approve")
    from pullwright.people import approve_stage, say

    if approve:
        for line in approve_stage(Path.cwd(), id, head):
            click.echo(line)
    elif comment is not None:
        click.echo(say(Path.cwd(), id, "comment", text=comment))
    else:
        click.echo(say(Path.cwd(), id, "reject", text=reject))


def _word(name: str, help: str) -> None:
    """A command that is one word to a task."""

    @cli.command(name, help=help)
    @click.argument("id")
    def command(id: str) -> None:
        from pullwright.people import say

        click.echo(say(Path.cwd(), id, name))


_word("retry", "Start the next attempt at the stage.\n\nRejected work goes to the next agent of the escalation list.")
_word("cancel", "End a task; `pullwright retry` takes it up again.")
_word("pause", "Let a task rest, on all hosts.")
_word("resume", "Let a paused task go on.")


@cli.command()
@click.argument("id")
@click.argument("agent")
def assign(id: str, agent: str) -> None:
    """Give a task's next stages to this agent and no other."""
    from pullwright.people import say

    click.echo(say(Path.cwd(), id, "assign", agent=agent))


@cli.command()
@click.argument("id")
@click.argument("text")
def answer(id: str, text: str) -> None:
    """Answer the question that an agent asked."""
    from pullwright.people import say

    click.echo(say(Path.cwd(), id, "answer", text=text))


@cli.command()
@click.argument("id")
@click.argument("text")
def comment(id: str, text: str) -> None:
    """Tell a task's agent something.

    It hears that before its next step; a proposal goes back to it.
    """
    from pullwright.people import say

    click.echo(say(Path.cwd(), id, "comment", text=text))


@cli.command()
@click.argument("id", required=False)
@click.option("--continue", "last", is_flag=True, help="Take up the talk in which something was said last.")
@click.option("--agent", metavar="NAME", help="Who shall answer in a new talk.")
@click.option("--list", "listed", is_flag=True, help="List all talks.")
@json_option
def chat(id: str | None, last: bool, agent: str | None, listed: bool, as_json: bool) -> int:
    """Talk with an agent, about a task or freely.

    ID is a task, or a talk as --list shows them.

    On a terminal: /help lists what there is to say. In a pipe standard input is one message or one such command, and
    its answer is printed; without any input, what was said so far.
    """
    if id is not None and last:
        raise click.UsageError("name a talk or say --continue")
    from pullwright.chat import chat as talk
    from pullwright.chat import talks

    if listed:
        talks(Path.cwd(), as_json)
        return 0
    return talk(Path.cwd(), id, last=last, agent=agent, as_json=as_json)


@cli.command("set-status")
@click.argument("id")
@click.argument("stage")
def set_status(id: str, stage: str) -> None:
    """Move a task to a stage, back or forth.

    Back: what was done from there on is done anew. Forth: the stages before it count as done, and are noted as skipped.
    """
    from pullwright.people import say

    click.echo(say(Path.cwd(), id, "set-status", status=stage))


@cli.command("set-budget")
@click.argument("id")
@click.option("--steps", type=click.IntRange(min=1), help="Steps of all its stages.")
@click.option("--tokens", type=click.IntRange(min=1), help="Tokens that it may read and write.")
@click.option("--cost", type=click.FloatRange(min=0), help="US dollars.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Minutes of work.")
def set_budget(id: str, **bounds: float | None) -> None:
    """Bound what a task may use; a bound that is not named stays.

    Without options: show what is in force.
    """
    from pullwright.people import bound

    click.echo(bound(Path.cwd(), id, {name: value for name, value in bounds.items() if value is not None}))


@cli.command()
@click.option("--all", "everything", is_flag=True, help="However short ago a task ended.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and leave it.")
def clean(everything: bool, dry_run: bool) -> None:
    """Remove what ended tasks left: branches, workspaces, logs.

    A task has ended when its last stage is merged or it is cancelled; policy.keep says for how long its things stay.
    """
    from pullwright.tidying import clean_here

    for line in clean_here(Path.cwd(), everything=everything, dry_run=dry_run):
        click.echo(line)


@cli.command()
@click.argument("id", required=False)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the report of ID as text instead.")
@json_option
def report(id: str | None, as_markdown: bool, as_json: bool) -> None:
    """What merged stages cost and took, by agent and complexity.

    With ID: write the report of that task as a PDF, and print where it lies.
    """
    from pullwright.reporting import report_here, report_task

    if id is not None:
        report_task(Path.cwd(), id, as_json, as_markdown)
    elif as_markdown:
        raise click.UsageError("--markdown is for the report of one task: name its ID")
    else:
        report_here(Path.cwd(), as_json)


@cli.group(cls=InOrder)
def prompt() -> None:
    """What models are told."""


@prompt.command("show")
@click.argument("stage")
@click.option("--agent", metavar="NAME", required=True, help="Whose model is told.")
@click.option("--task", "task_id", metavar="ID", help="The task; an example is shown if left out.")
@json_option
def prompt_show(stage: str, agent: str, task_id: str | None, as_json: bool) -> None:
    """The first request of a stage, exactly as the agent's model would get it, with counts of tokens."""
    from pullwright.inspecting import show_prompt

    show_prompt(Path.cwd(), stage, agent, task_id, as_json)


@cli.command()
@click.argument("run", metavar="RUN|FILE")
@click.option("--again", is_flag=True, help="Read the replies by today's rules, and say what becomes different.")
@click.option("--all", "everything", is_flag=True, help="Show long texts whole.")
def replay(run: str, again: bool, everything: bool) -> None:
    """What a model was told and said, as one reads a chat.

    \b
    pullwright replay fix-login           the newest run of a task
    pullwright replay fix-login/build.2   the second attempt at a stage
    pullwright replay run.jsonl           a trajectory in a file; - is standard input
    """
    from pullwright.replaying import replay_here

    replay_here(Path.cwd(), run, again, everything)


@cli.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--model", metavar="PROVIDER:NAME", help="Your own model instead of the recorded one, as ollama:gemma3:4b."
)
@click.option("--endpoint", metavar="URL", help="Where that model answers.")
def demo(folder: Path | None, model: str | None, endpoint: str | None) -> None:
    """A complete task on a throw-away repository.

    Five stages, five proposals, one merge into main. With DIR the repository is kept there.
    """
    from pullwright.demonstration import demonstrate

    demonstrate(folder, model, endpoint)


@cli.command()
@click.option("--host", metavar="H", default="127.0.0.1", show_default=True, help="Any other address needs a token.")
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option(
    "--dispatch", type=click.Choice(["local", "workflow", "none"]), default="local", show_default=True,
    help="Who works: runners on this host, workflow runs on GitHub, or somebody's own `run --watch`.",
)  # fmt: skip
def serve(host: str, port: int, dispatch: str) -> None:
    """Take webhooks, keep the index, answer the API, wake runners.

    Reads PULLWRIGHT_API_TOKEN, PULLWRIGHT_READ_TOKEN and PULLWRIGHT_WEBHOOK_SECRET; several words each while they are
    exchanged. A token may have a name, under which all that comes with it is written: NAME:TOKEN.
    """
    from pullwright.serving import serve as serve_here

    serve_here(Path.cwd(), host, port, dispatch)


@cli.group(cls=InOrder)
def index() -> None:
    """Look after the index: an SQLite file that says what Git says."""


@index.command("rebuild")
def index_rebuild() -> None:
    """Derive every row from Git again."""
    from pullwright.serving import rebuild

    click.echo(rebuild(Path.cwd()))


@index.command("verify")
def index_verify() -> int:
    """Compare every row with what Git says, and print differences."""
    from pullwright.serving import verify

    wrong = list(verify(Path.cwd()))
    for line in wrong:
        click.echo(line)
    click.echo(f"{len(wrong)} rows differ" if wrong else "the index says what Git says")
    return 1 if wrong else 0


def main(args: list[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 the user must act, 2 wrong usage, 3 our fault (a report file is named)."""
    if args is None:
        _in_utf8()
    sys.exit(status_of(lambda: cli.main(args=args, standalone_mode=False), VERSION))


def _in_utf8() -> None:
    """Start anew in UTF-8 mode (PEP 540) where the locale has another encoding: what Git says and keeps is UTF-8."""
    if not sys.flags.utf8_mode and locale.getencoding().lower() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
