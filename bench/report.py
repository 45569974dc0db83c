#!/usr/bin/env python3
"""Writes docs/performance.md from results directories.

    report.py RESULTS… > docs/performance.md

Each directory has what one call of bench/run.sh has left: the table, a profile, curves. Of what is
in several of them, the last one's counts. The text is that of performance.md.in; the curves' pictures
are copied to docs/performance/.
"""

import csv
import glob
import os
import re
import shutil
import sys

import table

HERE = os.path.dirname(os.path.abspath(__file__))
PLOTS = os.path.join(HERE, "..", "docs", "performance")
ORDER = ("workers", "batch", "in_flight", "latency", "runs")
NOTHING = "(not measured)"


def read_tsv(path):
    """Rows of a file, or None where it is not there."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return list(csv.reader(file, delimiter="\t"))


def markdown(rows, words=(0,)):
    """A table; the first row is its head, and all columns but those of words hold numbers."""
    if not rows:
        return NOTHING
    width = max(len(row) for row in rows)
    text = [[cell.replace("|", "\\|") for cell in row] + [""] * (width - len(row)) for row in rows]
    rule = ["---" if column in words else "--:" for column in range(width)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [text[0], rule] + text[1:])


def the_table(directory):
    """The table of rows, and what was left out or scaled down."""
    judged = [table.columns(line) for line in table.judged(directory)]
    head = ("row", "", "figure", "target", "ratio", "")
    rows = [[row, what, figure, target, ratio, verdict]
            for row, what, figure, target, ratio, verdict in judged]
    notes = "".join("\n- row %s: %s" % tuple(note) for note in table.notes(directory) if len(note) == 2)
    return markdown([list(head)] + rows, (0, 1, 5)) + ("\n" + notes if notes else "")


def rounds(directory):
    """Every sample, for those who want to see how far they lie apart."""
    samples = table.Samples(directory)
    rows = [["figure", "each round"]]
    for (row, name), found in samples.values.items():
        if name.startswith("rate.") and len(found) > 1:
            rows.append(["row %d %s" % (row, name[len("rate."):]),
                         " ".join(table.number(value) for value in found.values())])
    return markdown(rows, (0, 1))


def curves(directories):
    """Copies the pictures and names them."""
    found = {}
    for directory in directories:
        for path in glob.glob(os.path.join(directory, "growth-*.svg")):
            found[os.path.basename(path)[len("growth-"):-len(".svg")]] = path
    if not found:
        return NOTHING
    os.makedirs(PLOTS, exist_ok=True)
    for name, path in found.items():
        shutil.copy(path, os.path.join(PLOTS, name + ".svg"))
        shutil.copy(path[:-len(".svg")] + ".csv", os.path.join(PLOTS, name + ".csv"))
    return "\n\n".join("![%s](performance/%s.svg)" % (name, name) for name in ORDER if name in found)


def last_with(directories, name):
    """The last directory that has a file."""
    found = [directory for directory in directories if os.path.exists(os.path.join(directory, name))]
    return found[-1] if found else None


def with_rows(directories):
    """The last directory that the table of rows was measured into: not a profile's."""
    for directory in reversed(directories):
        samples = read_tsv(os.path.join(directory, "samples.tsv")) or []
        if any(row and row[0] != "0" for row in samples):
            return directory
    return None


def main():
    """Fills the template in."""
    directories = sys.argv[1:]
    if not directories:
        sys.exit("usage: report.py RESULTS…")
    rows = with_rows(directories)
    values = {}
    for directory in directories[::-1] + ([rows] if rows else []):
        values.update(read_tsv(os.path.join(directory, "setup.tsv")) or [])
    values["quick"] = ("**Small sizes (QUICK=1): these figures mean nothing.**\n\n"
                       if values.get("quick", "0") != "0" else "")
    values["table"] = the_table(rows) if rows else NOTHING
    values["rounds"] = rounds(rows) if rows else NOTHING
    values["curves"] = curves(directories)
    for name in ("profile", "functions", "statements"):
        directory = last_with(directories, name + ".tsv")
        values[name] = markdown(read_tsv(os.path.join(directory, name + ".tsv"))) if directory else NOTHING
    with open(os.path.join(HERE, "performance.md.in"), encoding="utf-8") as file:
        text = file.read()
    sys.stdout.write(re.sub(r"@(\w+)@", lambda found: values.get(found.group(1), NOTHING), text))


if __name__ == "__main__":
    main()
