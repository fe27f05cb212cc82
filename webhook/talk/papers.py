"""PDFs that people sent, read for the pages one after the other: by threads, since it takes seconds."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future

from runner import git
from runner.errors import UserError
from runner.host import Site
from runner.sandbox import Sandbox
from runner.talk import papers
from runner.talk.paper import Paper

MOST_WAITING = 16
"""PDFs that are read or wait for it; the others when somebody looks again."""


class Papers:
    """`sandbox` gives the one in which PDFs are read, or raises `UserError`."""

    def __init__(self, site: Site, sandbox: Callable[[], Sandbox], log: Callable[..., None]) -> None:
        self._site, self._sandbox, self._log = site, sandbox, log
        self._lock = threading.Lock()
        self._at: dict[str, Future[Paper]] = {}

    async def of(self, blobs: Iterable[str], seconds: float) -> Mapping[str, Paper]:
        """What there is of the PDFs with these Git blobs, by blob, after so many seconds at most.

        One that is missing is being read. Where it cannot be, `why` says so.
        """
        wanted = tuple(dict.fromkeys(blobs))
        jobs = {blob: job for blob in wanted if (job := self._job(blob)) is not None}
        if jobs:
            await asyncio.wait([asyncio.wrap_future(job) for job in jobs.values()], timeout=seconds)
        return {blob: job.result() for blob, job in jobs.items() if job.done()}

    def picture(self, blob: str, number: int) -> bytes | None:
        """The PNG of a page of what was read, from 1 on."""
        return papers.picture(self._site.state, blob, number)

    def _job(self, blob: str) -> Future[Paper] | None:
        """What will be known of a PDF; None where too many others wait."""
        job: Future[Paper] = Future()
        if (found := papers.kept(self._site.state, blob)) is not None:
            job.set_result(found)
            return job
        with self._lock:
            if blob in self._at or len(self._at) >= MOST_WAITING:
                return self._at.get(blob)
            self._at[blob] = job
        job.set_running_or_notify_cancel()
        threading.Thread(target=self._read, args=(blob, job), name="paper", daemon=True).start()
        return job

    def _read(self, blob: str, job: Future[Paper]) -> None:
        try:
            data = git.blobs(self._site.repo, [blob])[blob]
            found = papers.read(self._site.state, self._sandbox(), blob, data)
        except UserError as error:
            found = Paper(why=f"Its pages are not shown, for it cannot be read safely here: {error.what}.")
        except Exception as error:
            self._log("fault", blob=blob, trace=repr(error))
            found = Paper(why="Its pages are not shown: this is our fault, and the service's log says more.")
        with self._lock:
            del self._at[blob]
        job.set_result(found)
