"""How a command ends: in an exit status, with what went wrong said on standard error."""

import sys
from collections.abc import Callable
from typing import Any

import click

from pullwright.spoken import fit
from runner.errors import UserError, of_this_machine


def status_of(call: Callable[[], Any], version: str) -> int:
    """Run `call`; its exit status: 0 done, 1 the user must act, 2 wrong usage, 3 our fault (a report file is named),
    130 interrupted. What `call` returns counts where it is a number."""
    try:
        answer = call()
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort) as stop:
        click.echo(str(stop.__cause__ or "") or "stopped; running it again goes on from here", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # else Python complains about the closed pipe once more when it ends
        return 0
    except UserError as error:
        return _refused(error)
    except Exception as error:
        mine = of_this_machine(error)
        return _refused(mine) if mine else _our_fault(error, version)
    return answer if isinstance(answer, int) else 0  # click returns the status of --help and of commands that give one


def _refused(error: UserError) -> int:
    click.echo(fit(f"pullwright: {error}"), err=True)
    return 1


def _our_fault(error: Exception, version: str) -> int:
    from pullwright.report_bug import write_report

    report = write_report(error, version)
    words = f"pullwright: this is our fault: {error}\n  → please report it with what is in {report}"
    click.echo(fit(words), err=True)
    return 3
