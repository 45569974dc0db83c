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

    def test_line_that_names_the_separator(self):
        for mark in (b"sep=;", b"\xef\xbb\xbfSEP=;", b'"sep=;"', b"sep=;;;;"):
            with self.subTest(mark):
                self.check(mark + b"\r\nlead_id;nome;email;telefone\r\n1;Ana, a;a@ex.com;\r\n",
                           '1,"Ana, a",a@ex.com,')
        self.check(b"sep=|\nlead_id|nome|email|telefone\n1|Ana|a@ex.com|\n", "1,Ana,a@ex.com,")
        self.check(b"sep=\t\nlead_id\tnome\temail\ttelefone\n1\tA\ta@ex.com\t\n", "1,A,a@ex.com,")

    def test_joiners_and_new_letters_in_names(self):
        for nome in ("Eva \U0001f469\u200d\U0001f4bb", "\u0646\u0627\u0645\u200c\u0647",
                     "Z\u00ad\u200be", "Ana \U0001fae9", "\ue000"):
            with self.subTest(nome):
                self.check(HEADER + ("1,%s,a@example.com,\n" % nome).encode(),
                           "1,%s,a@example.com," % nome)

    def test_invisible_characters_around_values(self):
        self.check("\u200blead_id\u00a0,nome,\ufeffemail,telefone\n".encode() +
                   "\u20601\u00a0\u0080,\u202aAna\u202c \u200d,\u00a0a@example.com\u200b,"
                   "\u202d+55 11 90000-0001\u202c\n".encode(),
                   "1,Ana,a@example.com,+55 11 90000-0001")

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
                (b"3,A\xc2\x80na,a@example.com,", "control characters"),
                ("3\u200b3,Ana,a@example.com,".encode(), "invisible characters in lead_id"),
                ("3,Ana,a\u200b@example.com,".encode(), "invisible characters in email"),
                ("3,Ana,,+55\u200e1190000".encode(), "invisible characters in telefone"),
                (b'3,"Ana" x,a@example.com,', "',' expected after '\"'"),
                (b'3,"Ana,a@example.com,', "unexpected end of data")):
            with self.subTest(reason):
                self.check(line, reason)


class Large(unittest.TestCase):
    """What a spreadsheet of a whole company holds."""

    def test_many_rows(self):
        rows = "".join("%d,\"Ana %d\",a%d@example.com,\n" % (n, n, n) for n in range(50000))
        status, lines, said = load(HEADER + rows.encode())
        self.assertEqual((status, len(lines)), (0, 50000))
        self.assertEqual(said[-1], "50000 leads read, 0 lines skipped")

    def test_complaints_end(self):
        status, lines, said = load(HEADER + b"1,,a@example.com,\n" + b"2,Ana,,\n" * 5000)
        self.assertEqual((status, len(lines)), (0, 1))
        self.assertEqual(said[-2:], ["and 4900 more like these",
                                     "1 leads read, 5000 lines skipped"])

    def test_number_of_a_line_after_a_separator(self):
        said = load(b"sep=,\n" + HEADER + b"1,,a@example.com,\n2,Ana,,\n")[2]
        self.assertEqual(said[0], "line 4: neither email nor telefone (skipped)")


class Refused(unittest.TestCase):
    """Files of which nothing can be used."""

    def test_reasons(self):
        for data, reason in (
                (b"", "is empty"),
                (b"\n\n", "is empty"),
                (HEADER, "has no line that can be used"),
                (b"sep=;\n", "is empty"),
                (b"sep=;\nlead_id;nome;email;telefone\n", "has no line that can be used"),
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
