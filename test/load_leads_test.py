#!/usr/bin/env python3
"""Tests of demo/load_leads.py: what it accepts, and what it says of what it skips."""

import os
import subprocess
import sys
import tempfile
import unittest

LOADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "demo", "load_leads.py")
HEADER = b"lead_id,nome,email,telefone\n"


def load(data):
    """(exit status, lines written, lines of complaint) for a file's bytes."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(data)
        file.flush()
        done = subprocess.run([sys.executable, "-B", LOADER, file.name], capture_output=True)
    return (done.returncode, done.stdout.decode().splitlines(), done.stderr.decode().splitlines())


class Accepted(unittest.TestCase):
    """Forms of a good file."""

    def check(self, data, *expected):
        status, lines, said = load(data)
        self.assertEqual((status, lines), (0, list(expected)), said)
        self.assertIn(" 0 lines skipped", said[-1])

    def test_plain(self):
        self.check(HEADER + b"1,Ana,ana@example.com,+55 11 90000-0001\n",
                   "1,Ana,ana@example.com,+55 11 90000-0001")

    def test_mark_crlf_and_no_last_newline(self):
        self.check(b"\xef\xbb\xbf" + HEADER.replace(b"\n", b"\r\n") + b"1,Ana,ana@example.com,",
                   "1,Ana,ana@example.com,")

    def test_semicolons_other_order_and_unknown_column(self):
        self.check("Telefone;cidade;LEAD_ID;nome;email\n;Itu;1;José;j@example.com\n".encode(),
                   "1,José,j@example.com,")

    def test_quotes(self):
        self.check(HEADER + b'1,"Silva, ""Ze""",z@example.com,\n2,"two\nlines",t@example.com,\n',
                   '1,"Silva, ""Ze""",z@example.com,', "2,two lines,t@example.com,")

    def test_blank_lines(self):
        self.check(HEADER + b"\n1,,a@example.com,\n\n", "1,,a@example.com,")


class Skipped(unittest.TestCase):
    """Bad lines are named by their number, and the good ones around them are kept."""

    def check(self, line, reason):
        status, lines, said = load(HEADER + b"1,,a@example.com,\n" + line + b"\n2,,b@example.com,\n")
        self.assertEqual((status, lines), (0, ["1,,a@example.com,", "2,,b@example.com,"]))
        self.assertEqual(said, ["line 3: %s (skipped)" % reason, "2 leads read, 1 lines skipped"])

    def test_reasons(self):
        for line, reason in (
                (b",Ana,ana@example.com,", "no lead_id"),
                (b"3,Ana,,", "neither email nor telefone"),
                (b"3,Ana", "2 fields instead of 4"),
                (b"3,Ana,ana.example.com,", "ana.example.com is not an e-mail address"),
                (b"3,Ana,a@b@example.com,", "a@b@example.com is not an e-mail address"),
                (b"3,Ana,,5.51E+12", "5.51E+12 is not a telephone number"),
                (b"3,Ana,,123", "123 is not a telephone number"),
                (b"1,Ana,a@example.com,", "lead_id 1 already on line 2"),
                (b"3,Jos\xe9,a@example.com,", "bytes that are not UTF-8"),
                (b"3,A\x07na,a@example.com,", "control characters"),
                (b'3,"Ana" x,a@example.com,', "',' expected after '\"'"),
                (b'3,"Ana,a@example.com,', "unexpected end of data")):
            with self.subTest(reason):
                self.check(line, reason)


class Refused(unittest.TestCase):
    """Files of which nothing can be used."""

    def test_reasons(self):
        for data, reason in (
                (b"", "is empty"),
                (b"\n\n", "is empty"),
                (HEADER, "has no line that can be used"),
                ("lead_id,nome\n".encode("utf-16"), "is UTF-16; save it as CSV in UTF-8"),
                (b"lead_id,nome,email\n1,2,3\n", "has no column telefone in its first line; it "
                 "must name lead_id, nome, email, telefone"),
                (b"lead_id,nome,email,telefone,nome\n", "names the column nome twice")):
            with self.subTest(reason):
                status, lines, said = load(data)
                self.assertEqual((status, lines), (1, []))
                self.assertTrue(said[-1].endswith(".csv " + reason), said)


if __name__ == "__main__":
    unittest.main()
