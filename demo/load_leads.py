#!/usr/bin/env python3
"""Reads a CSV of leads, checks every line, and writes the good ones as plain CSV.

    load_leads.py FILE > leads.csv

The header names the columns lead_id, nome, email and telefone, in any order; others are ignored.
UTF-8, with or without a byte order mark; separated by commas, or by semicolons or tabs as some
spreadsheets write it, or by what a first line "sep=;" says; quoted as in RFC 4180. Blanks and
invisible characters around a value do not count. What is wrong with a line goes to standard error as
`line N: reason (skipped)`. The exit status is 1 when nothing can be read from the file at all.
"""

import csv
import io
import re
import sys
import unicodedata

COLUMNS = ("lead_id", "nome", "email", "telefone")
EMAIL = re.compile(r"[^@\s,;:<>()\"]+@[^@\s,;:<>()\"]+\.[^@\s.,;:<>()\"]+")
PHONE = re.compile(r"\+?[0-9 ().-]+")
SEPARATOR = re.compile(r"\"?sep=(.)", re.IGNORECASE)
COMPLAINTS_MAX = 100  # as many are said in full


class BadFile(Exception):
    """Nothing of the file can be used."""


class BadLine(Exception):
    """One line cannot be used."""


def kind(char):
    """Unicode's category of a character: Cc are controls, Cf formats, Z* separators."""
    return unicodedata.category(char)


def tidy(text):
    """A value without what nobody sees around it, blanks inside as one; joiners inside stay."""
    def unseen(char):
        return (kind(char) in ("Cf", "Zs", "Zl", "Zp") or char.isspace()
                or "\x80" <= char <= "\x9f")

    start, end = 0, len(text)
    while start < end and unseen(text[start]):
        start += 1
    while end > start and unseen(text[end - 1]):
        end -= 1
    return " ".join(text[start:end].split())


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


def take_separator(lines):
    """The separator that a first line names, as Excel writes it; None when there is no such line."""
    named = SEPARATOR.match(lines[0])
    if named:
        del lines[0]
        if not "".join(lines).strip():
            raise BadFile("is empty")
    return named and named.group(1)


def read_header(lines, delimiter):
    """The delimiter, the number of columns, and where each of ours stands."""
    delimiter = delimiter or max(",;\t", key=lines[0].count)
    fields = next(csv.reader([lines[0]], delimiter=delimiter), [])
    names = [tidy(name).lower() for name in fields]
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
    values = [tidy(fields[place]) for place in places]
    lead_id, _, email, phone = values
    if any("\udc80" <= char <= "\udcff" for value in values for char in value):
        raise BadLine("bytes that are not UTF-8")
    if any(kind(char) == "Cc" for value in values for char in value):
        raise BadLine("control characters")
    for name, value in zip(COLUMNS, values):
        if name != "nome" and any(kind(char) == "Cf" for char in value):
            raise BadLine("invisible characters in " + name)
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
    total = len(lines)
    delimiter, width, places = read_header(lines, take_separator(lines))
    skipped = total - len(lines) + 1
    writer = csv.writer(output, lineterminator="\n")
    seen, bad = {}, 0
    for number, fields, problem in records(lines[1:], delimiter):
        number += skipped
        try:
            if problem:
                raise BadLine(problem)
            values = check(fields, width, places, seen)
        except BadLine as reason:
            bad += 1
            if bad <= COMPLAINTS_MAX:
                complain("line %d: %s (skipped)" % (number, reason))
        else:
            seen[values[0]] = number
            writer.writerow(values)
    if bad > COMPLAINTS_MAX:
        complain("and %d more like these" % (bad - COMPLAINTS_MAX))
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
