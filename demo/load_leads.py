#!/usr/bin/env python3
"""Reads a CSV of leads, checks every line, and writes the good ones as plain CSV.

    load_leads.py FILE > leads.csv

The header names the columns lead_id, nome, email and telefone, in any order; others are ignored.
UTF-8, with or without a byte order mark; separated by commas, or by semicolons or tabs as some
spreadsheets write it; quoted as in RFC 4180. What is wrong with a line goes to standard error as
`line N: reason (skipped)`. The exit status is 1 when nothing can be read from the file at all.
"""

import csv
import io
import re
import sys

COLUMNS = ("lead_id", "nome", "email", "telefone")
EMAIL = re.compile(r"[^@\s,;:<>()\"]+@[^@\s,;:<>()\"]+\.[^@\s.,;:<>()\"]+")
PHONE = re.compile(r"\+?[0-9 ().-]+")


class BadFile(Exception):
    """Nothing of the file can be used."""


class BadLine(Exception):
    """One line cannot be used."""


def read_lines(path):
    """The file's lines; bytes that are no UTF-8 stay recognisable in the text."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as problem:
        raise BadFile(problem.strerror) from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadFile("is UTF-16; save it as CSV in UTF-8")
    text = data.decode("utf-8-sig", "surrogateescape")
    if not text.strip():
        raise BadFile("is empty")
    return list(io.StringIO(text, newline=""))


def records(lines, delimiter):
    """Yields (number of the first line, fields, problem) for each record that is not blank."""
    at = 0
    while at < len(lines):
        reader = csv.reader((lines[n] for n in range(at, len(lines))),
                            delimiter=delimiter, strict=True)
        fields, problem = None, None
        try:
            fields = next(reader)
            used = reader.line_num
        except csv.Error as error:
            # A quote that never closes would swallow the rest: go on at the next line.
            problem, used = str(error), 1
        if fields or problem:
            yield at + 1, fields, problem
        at += used


def read_header(lines):
    """The delimiter, the number of columns, and where each of ours stands."""
    delimiter = max(",;\t", key=lines[0].count)
    fields = next(csv.reader([lines[0]], delimiter=delimiter), [])
    names = [name.strip().lower() for name in fields]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise BadFile("has no column %s in its first line; it must name %s"
                      % (", ".join(missing), ", ".join(COLUMNS)))
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise BadFile("names the column %s twice" % ", ".join(twice))
    return delimiter, len(names), [names.index(name) for name in COLUMNS]


def check(fields, width, places, seen):
    """The four values of a line, or BadLine."""
    if len(fields) != width:
        raise BadLine("%d fields instead of %d" % (len(fields), width))
    values = [" ".join(fields[place].split()) for place in places]
    lead_id, _, email, phone = values
    if any("\udc80" <= char <= "\udcff" for value in values for char in value):
        raise BadLine("bytes that are not UTF-8")
    if not all(value.isprintable() for value in values):
        raise BadLine("control characters")
    if not lead_id:
        raise BadLine("no lead_id")
    if not email and not phone:
        raise BadLine("neither email nor telefone")
    if email and not EMAIL.fullmatch(email):
        raise BadLine("%s is not an e-mail address" % email)
    if phone and not (PHONE.fullmatch(phone) and 8 <= len(re.sub(r"\D", "", phone)) <= 15):
        raise BadLine("%s is not a telephone number" % phone)
    if lead_id in seen:
        raise BadLine("lead_id %s already on line %d" % (lead_id, seen[lead_id]))
    return values


def load(path, output, complain):
    """Writes the good lines to output, and returns how many there were, and how many bad ones."""
    lines = read_lines(path)
    delimiter, width, places = read_header(lines)
    writer = csv.writer(output, lineterminator="\n")
    seen, bad = {}, 0
    for number, fields, problem in records(lines[1:], delimiter):
        number += 1
        try:
            if problem:
                raise BadLine(problem)
            values = check(fields, width, places, seen)
        except BadLine as reason:
            bad += 1
            complain("line %d: %s (skipped)" % (number, reason))
        else:
            seen[values[0]] = number
            writer.writerow(values)
    return len(seen), bad


def main():
    """Exit status 1: the file is of no use."""
    if len(sys.argv) != 2:
        sys.exit("usage: load_leads.py FILE")
    path = sys.argv[1]
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stderr.reconfigure(errors="backslashreplace")
    try:
        good, bad = load(path, sys.stdout, lambda text: print(text, file=sys.stderr))
        if good == 0:
            raise BadFile("has no line that can be used")
    except BadFile as problem:
        sys.exit("%s %s" % (path, problem))
    print("%d leads read, %d lines skipped" % (good, bad), file=sys.stderr)


if __name__ == "__main__":
    main()
