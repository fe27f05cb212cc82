"""How the live view looks: rows, events and a mood in, styled lines of exactly a terminal's size out. Pure."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from pullwright.live.keys import HELP, Mood
from pullwright.live.rows import Row, amount, clock
from pullwright.screen import fitted, style_of

WIDE = 120  # columns from which on what happens has a column of its own
SPIN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
MARKS = {
    "work": ("▶", "cyan"), "hold": ("⏸", "bold yellow"), "review": ("◆", "bold magenta"), "wait": ("·", "dim"),
    "next": ("▷", "cyan"), "done": ("✔", "green"),
}  # fmt: skip
TITLES = {"table": "what happened", "log": "what {} did", "diff": "{} against its target", "help": "keys"}


class Scene(NamedTuple):
    """All that is shown: the `rows`, what happened (`events`, oldest first, each with its time), the `page` of a log or
    diff, how many seconds it has been going, the number of complete tasks, and a `message` for whoever watches."""

    rows: tuple[Row, ...] = ()
    events: Sequence[tuple[str, str]] = ()
    page: Sequence[str] = ()
    seconds: int = 0
    place: str = ""
    complete: int = 0
    message: str = ""
    frame: int = 0


def picture(scene: Scene, mood: Mood, width: int, height: int) -> list[Text]:
    """Exactly `height` lines, none of them wider than `width` cells."""
    top = [_header(scene), Text("")]
    bottom = _footer(scene, mood)
    room = max(0, height - len(top) - 1)
    paged = mood.mode in ("log", "diff", "help")
    body = _page(scene, mood, width, room) if paged else _tasks(scene, mood, width, room)
    lines = [*top, *body[:room], *[Text("")] * (room - len(body)), bottom][-max(1, height) :]
    return [_fit(line, width) for line in lines]


def page_room(height: int) -> int:
    """How many lines of a log or diff are seen at once."""
    return max(1, height - 4)


def _fit(line: Text, width: int) -> Text:
    line = line.copy()
    line.truncate(width, overflow="ellipsis")
    return line


def printable(text: str) -> str:
    """`text` without anything that a terminal takes for a command; a tab is four spaces."""
    return "".join(char if char.isprintable() else " " for char in text.replace("\t", "    "))


# --- around --------------------------------------------------------------------------------------------------------


def _header(scene: Scene) -> Text:
    counts = [
        (sum(row.mark == "work" for row in scene.rows), "at work", "cyan"),
        (sum(row.mark == "review" for row in scene.rows), "for you to review", "magenta"),
        (sum(row.mark == "hold" for row in scene.rows), "held", "yellow"),
        (scene.complete + sum(row.mark == "done" for row in scene.rows), "complete", "green"),
    ]
    line = Text.assemble((" Pullwright ", "bold reverse"), f"  {clock(scene.seconds)}  ")
    for number, words, style in counts:
        if number:
            line.append(f" {number} {words} ", style)
    return line.append(f"  {printable(scene.place)}", "dim")


def _footer(scene: Scene, mood: Mood) -> Text:
    if mood.mode == "answer":
        return Text.assemble((" answer ", "bold reverse yellow"), f" {mood.typed}", ("▌", "blink"))
    said = printable(scene.message)
    if mood.leaving:
        said = "stopping after this step; q again stops at once"
    hint = "esc back   ↑↓ scroll" if mood.mode in ("log", "diff") else "p pause   a answer   l log   d diff"
    if mood.mode == "help":
        hint = "esc back"
    line = Text.assemble((f" {hint}   q stop   ? help ", "reverse"))
    return line.append(f"  {said}", "bold yellow") if said else line


def _rule(words: str, width: int) -> Text:
    return Text.assemble(("── ", "dim"), (words, "bold"), (" " + "─" * (width - cell_len(words) - 4), "dim"))


# --- tasks ---------------------------------------------------------------------------------------------------------


def _tasks(scene: Scene, mood: Mood, width: int, room: int) -> list[Text]:
    blocks = [_block(row, row.task == mood.selected, scene, width) for row in scene.rows]
    if not blocks:
        blocks = [[Text("  looking …" if not scene.complete else "  every task is complete", "dim")]]
    chosen = next((number for number, row in enumerate(scene.rows) if row.task == mood.selected), 0)
    above = _within(blocks, chosen, max(1, room - 1 - min(8, room // 3)))
    asked = next((row for row in scene.rows if row.task == mood.selected and mood.mode == "answer"), None)
    below = [Text(""), _rule("what happened", width), *_events(scene, width, room - len(above) - 3)]
    if asked is not None:
        below = [Text(""), Text.assemble(("  it asks: ", "bold yellow"), printable(asked.asks)), *below]
    return [_heads(width), *above, *below]


def _within(blocks: list[list[Text]], chosen: int, room: int) -> list[Text]:
    """The lines of as many whole rows as there is room for, with the chosen one among them."""
    first = last = chosen
    used = len(blocks[chosen])
    while True:
        if last + 1 < len(blocks) and used + len(blocks[last + 1]) <= room:
            last += 1
            used += len(blocks[last])
        elif first > 0 and used + len(blocks[first - 1]) <= room:
            first -= 1
            used += len(blocks[first])
        else:
            break
    lines = [line for block in blocks[first : last + 1] for line in block]
    hidden = len(blocks) - (last - first + 1)
    return lines + ([Text(f"    … {hidden} more", "dim")] if hidden else [])


def _columns(width: int) -> tuple[int, int, int]:
    """How wide the task's name, the bar and the last column are."""
    bar = 10 if width >= WIDE else 6
    fixed = 4 + 9 + 11 + 5 + (bar + 6) + 8 + 8 + 8
    name = max(8, min(28, width - fixed)) if width < WIDE else 28
    return name, bar, max(0, width - fixed - name - 2) if width >= WIDE else 0


def _cell(text: str, width: int, right: bool = False) -> str:
    """`text` in exactly `width` cells."""
    text = printable(text)
    while cell_len(text) > width:
        text = text[: len(text) - 2] + "…" if not text.endswith("…") else text[:-2] + "…"
    pad = " " * (width - cell_len(text))
    return pad + text if right else text + pad


def _heads(width: int) -> Text:
    name, bar, _ = _columns(width)
    heads = f"    {_cell('task', name)} {_cell('stage', 8)} {_cell('agent', 10)} {_cell('step', 4, True)} "
    heads += (
        f"{_cell('progress', bar + 5)} {_cell('tokens', 7, True)} {_cell('cost', 7, True)} {_cell('time', 7, True)}"
    )
    return Text(heads + ("  now" if width >= WIDE else ""), "dim")


def _block(row: Row, selected: bool, scene: Scene, width: int) -> list[Text]:
    """A task's line, and below it what happens and what a person can do."""
    name, bar, rest = _columns(width)
    sign, style = MARKS[row.mark]
    if row.mark == "work" and not row.host:
        sign = SPIN[scene.frame % len(SPIN)]
    plain = "dim" if row.mark in ("wait", "done") else ""
    line = Text.assemble(("❯ " if selected else "  ", "bold cyan"), (f"{sign} ", style))
    line.append(_cell(row.task, name) + " ", "bold" if selected else plain or style if row.mark != "work" else "")
    line.append(f"{_cell(row.stage, 8)} {_cell(row.agent, 10)} ", plain)
    line.append(_cell(str(row.step) if row.step else "", 4, True) + " ", plain)
    line.append_text(_bar(row, bar))
    used = amount(row.tokens) if row.tokens else "", f"${row.cost:.2f}" if row.cost else ""
    line.append(f" {_cell(used[0], 7, True)} {_cell(used[1], 7, True)} ", plain)
    line.append(_cell(clock(row.seconds) if row.seconds else "", 7, True), plain)
    now = _now(row)
    held = row.mark == "hold"  # those are read to their end
    told = _wrapped(now, width - 6) if held else [now] if now.plain else []
    ways = [Text.assemble(("      → ", style), (printable(way), "bold")) for way in row.ways if row.mark != "wait"]
    if rest and (cell_len(now.plain) <= rest or not held):
        return [line.append("  ").append_text(now), *ways]
    return [line, *(Text("      ").append_text(each) for each in told), *ways]


def _wrapped(words: Text, width: int) -> list[Text]:
    lines = textwrap.wrap(words.plain, max(10, width), max_lines=4, placeholder=" …")
    return [Text(line, words.style) for line in lines]


def _bar(row: Row, width: int) -> Text:
    """The progress of the open stage."""
    if not row.agent and row.mark != "done":
        return Text(" " * (width + 5))
    percent = 100 if row.mark == "done" else row.progress
    full = round(percent * width / 100)
    style = {"hold": "yellow", "review": "magenta", "done": "green"}.get(row.mark, "cyan")
    return Text.assemble(("━" * full, style), ("━" * (width - full), "bright_black"), f"{percent:>4}%")


def _now(row: Row) -> Text:
    """What happens, or why nothing does."""
    if row.mark != "work":
        style = {"hold": "yellow", "review": "magenta", "done": "green", "wait": "dim"}.get(row.mark, "")
        return Text(printable(row.now.removeprefix("held: ") if row.mark == "wait" else row.now), style)
    shown = Text(printable(row.now), "")
    if row.exit is not None:
        shown.append(f" → exit {row.exit}", "green" if row.exit == 0 else "bold red")
    if row.doing:
        shown.append(("  " if shown.plain else "") + row.doing, "dim")
    return shown.append(("  " if shown.plain else "") + f"on {printable(row.host)}", "dim") if row.host else shown


def _events(scene: Scene, width: int, room: int) -> list[Text]:
    return [
        Text.assemble((f" {at}  ", "dim"), (fitted(printable(said), width - len(at) - 3), style_of(said)))
        for at, said in (scene.events[-room:] if room > 0 else ())
    ]


# --- pages ---------------------------------------------------------------------------------------------------------


def _page(scene: Scene, mood: Mood, width: int, room: int) -> list[Text]:
    """A log or diff from where it is scrolled to, or the help."""
    heading = _rule(TITLES[mood.mode].format(printable(mood.selected)), width)
    if mood.mode == "help":
        return [heading, Text(""), *(Text.assemble((f"  {key:<10}", "bold cyan"), words) for key, words in HELP)]
    bottom = max(0, len(scene.page) - (room - 1))
    first = bottom if mood.scroll is None else min(mood.scroll, bottom)
    shown = scene.page[first : first + room - 1]
    style = _diff_style if mood.mode == "diff" else _log_style
    return [heading, *(Text(" " + printable(line), style(line)) for line in shown)]


def _diff_style(line: str) -> str:
    if line.startswith(("diff ", "+++ ", "--- ")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def _log_style(line: str) -> str:
    return "dim" if line.startswith("    ") else style_of(line)
