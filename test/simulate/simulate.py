#!/usr/bin/env python3
"""Simulates sales cadences and counts what must not happen: see docs/simulation.md.

A year (--days) around the rules alone; with --breaks, the rules broken on purpose; with --week, some
days on a real server under a shifted clock, which needs PostgreSQL's programs first in PATH, with
the extension installed. The last line is "N passed, N failed".
"""

import argparse
import os
import sys

from breaks import BREAKS, build, simulate, try_breaks
from check import check_book, report
from week import live


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", required=True, help="is made, and holds all that is written")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--leads", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--breaks", nargs="*", metavar="NAME", help="break the rules, all or some, and see that it is"
                        " counted")
    parser.add_argument("--week", type=float, default=0, metavar="DAYS", help="so many days on a server")
    parser.add_argument("--week-leads", type=int, default=60)
    return parser.parse_args()


def say(line):
    print(line, flush=True)


def part(results, title, counts):
    """One more part of the run, and its results."""
    say("# " + title)
    results.append(counts())


def year(options):
    program = build(options.directory)
    book = os.path.join(options.directory, "year")
    return report(check_book(simulate(program, book, options.days, options.leads, options.seed)), say)


def week(options):
    directory = os.path.join(options.directory, "week")
    os.mkdir(directory)
    book, agree = live(directory, options.week, options.week_leads, options.seed)
    passed, failed = report(check_book(book), say)
    say("%s what the provider has accepted is what the tables say was sent" % ("ok      " if agree else "FAILED  "))
    return passed + agree, failed + (not agree)


def main():
    options = parse()
    os.makedirs(options.directory)
    results = []
    part(results, "%d days, %d people, seed %d: the rules alone" % (options.days, options.leads, options.seed),
         lambda: year(options))
    if options.breaks is not None:
        part(results, "the rules broken on purpose",
             lambda: try_breaks(options.directory, options.breaks or tuple(BREAKS), say))
    if options.week:
        part(results, "%g days, %d people, seed %d: a server" % (options.week, options.week_leads, options.seed),
             lambda: week(options))
    passed, failed = map(sum, zip(*results))
    say("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
