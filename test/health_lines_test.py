#!/usr/bin/env python3
"""Each line that cadence_health() may say is one that docs/monitoring.md says what to do about.

    test/health_lines_test.py
"""

import os
import re
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def reasons():
    """Of each kind of line, how it begins and what it has somewhere, as the metrics know it."""
    source = read("src", "sqlapi", "health_reason.c")
    table = source[source.index("reasons[] ="):source.index("StaticAssertDecl")]
    for name, begins, has in re.findall(r'\{"(\w+)", (NULL|"(?:[^"\\]|\\.)*"), (NULL|"(?:[^"\\]|\\.)*")\}', table):
        if name != "other":
            yield name, [part[1:-1].replace('\\"', '"').strip() for part in (begins, has) if part != "NULL"]


class HealthLinesTest(unittest.TestCase):
    def test_each_has_a_row(self):
        rows = [line for line in read("docs", "monitoring.md").splitlines() if line.startswith("| `")]
        known = list(reasons())
        self.assertGreater(len(known), 20)
        missing = [name for name, parts in known if not any(all(part in row for part in parts) for row in rows)]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
