import unittest
from datetime import date, time

from worklog.entry import BadLine, Entry, parse, parse_log


class Parsing(unittest.TestCase):
    def test_a_line_is_a_session(self):
        self.assertEqual(
            parse("2026-03-02 09:00-10:30 website  Draft the start page"),
            Entry(date(2026, 3, 2), time(9), time(10, 30), "website", "Draft the start page"),
        )

    def test_the_note_may_be_missing(self):
        self.assertEqual(parse("2026-03-02 09:00-10:30 website").note, "")

    def test_comments_and_empty_lines_are_skipped(self):
        self.assertEqual(parse_log("# March\n\n   \n"), [])

    def test_other_lines_are_refused(self):
        for line in ("lunch", "2026-13-02 09:00-10:30 website", "2026-03-02 09:00-25:30 website"):
            with self.subTest(line), self.assertRaises(BadLine):
                parse(line)


class Length(unittest.TestCase):
    def test_a_session_lasts_from_start_to_end(self):
        self.assertEqual(parse("2026-03-02 09:50-11:25 website").minutes, 95)


if __name__ == "__main__":
    unittest.main()
