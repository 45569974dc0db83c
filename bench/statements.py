#!/usr/bin/env python3
"""How long the statements of an execution took, from what auto_explain wrote into a server's log.

    statements.py STEPS < log

Sums by the first words of each statement, in microseconds per step: elapsed time, triggers included,
without parsing, planning and the commit.
"""

import collections
import re
import sys

from claims import statements

# how many words tell one statement from another
WORDS = 6


def main():
    """Prints the statements, the longest first."""
    steps = int(sys.argv[1])
    times, counts = collections.Counter(), collections.Counter()
    for duration, text, _ in statements(sys.stdin):
        text = re.sub(r"^Query Text: ", "", text)
        if "cadence_run(" in text:      # the caller's, which waits for all others
            continue
        named = re.match(r"/\* cadence_runner: (.*?) \*/", text)
        name = named.group(1) if named else " ".join(text.split()[:WORDS])
        times[name] += duration
        counts[name] += 1
    print("statement\tus/step\tms each\ttimes")
    for name, total in times.most_common():
        print("%s\t%.2f\t%.2f\t%d" % (name, total * 1e3 / steps, total / counts[name], counts[name]))


if __name__ == "__main__":
    main()
