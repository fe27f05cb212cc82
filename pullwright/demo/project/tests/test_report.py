import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from worklog.__main__ import main
from worklog.entry import parse_log
from worklog.report import clock, table, totals

LOG = """\
2026-03-02 09:00-10:30 website
2026-03-02 10:45-12:00 billing
2026-03-03 09:00-09:35 website
"""


class Report(unittest.TestCase):
    def test_minutes_are_added_up_by_project(self):
        self.assertEqual(totals(parse_log(LOG)), {"billing": 75, "website": 125})

    def test_minutes_are_shown_as_on_a_clock(self):
        self.assertEqual([clock(0), clock(9), clock(95)], ["0:00", "0:09", "1:35"])

    def test_the_table_lines_up(self):
        self.assertEqual(table({"billing": 75, "website": 905}), "billing   1:15\nwebsite  15:05\ntotal    16:20")

    def test_a_log_without_sessions_has_a_total_of_nothing(self):
        self.assertEqual(table({}), "total  0:00")


class Command(unittest.TestCase):
    def run_main(self, *arguments, log=LOG):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "work.log")
            path.write_text(log, encoding="utf-8")
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main([str(path), *arguments])
        return status, out.getvalue(), err.getvalue()

    def test_one_project_can_be_shown(self):
        self.assertEqual(self.run_main("--project", "website"), (0, "website  2:05\ntotal    2:05\n", ""))

    def test_a_bad_line_is_named(self):
        status, _, err = self.run_main(log="lunch\n")
        self.assertEqual((status, err), (1, "worklog: not a session: 'lunch'\n"))


if __name__ == "__main__":
    unittest.main()
