#!/usr/bin/env python3
"""How long claims took, from what auto_explain wrote into the server's log.

A claim is a statement that takes runs (WITH taken AS ...) together with the look for due runs
before it, where that is a statement of its own. The last ones find less than a batch and are left
out: only those that took as many as the largest count. What is read and written of the senders'
states is told apart, as a mean of all claims.
"""

import re
import sys

DURATION = re.compile(r"duration: ([0-9.]+) ms  plan:")
ROWS = re.compile(r"actual rows=([0-9]+)")
SENDERS = re.compile(r"cadence_runner: [a-z' ]*(sender|permits)")


def statements(lines):
    """Yields duration, text and number of rows of each statement in the log."""
    duration, text, rows, in_text = None, [], None, False
    for line in lines:
        found = DURATION.search(line)
        if found:
            if duration is not None:
                yield duration, " ".join(text), rows
            duration, text, rows, in_text = float(found.group(1)), [], None, True
        elif duration is not None:
            found = ROWS.search(line)
            if found and rows is None:
                rows, in_text = int(found.group(1)), False
            if in_text:
                text.append(line.strip())
    if duration is not None:
        yield duration, " ".join(text), rows


def main():
    """Prints the median and the longest of looks, of takes, and of both together; and the senders' part."""
    looks, takes, senders = [], [], 0.0
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        for duration, text, rows in statements(log):
            if "cadence_runner: taking due runs" in text:
                takes.append((rows or 0, duration))
            elif "cadence_runner: looking for due runs" in text:
                looks.append((rows or 0, duration))
            elif SENDERS.search(text):
                senders += duration
    if not takes:
        sys.exit("no claim was logged")
    print("claim.count", len(takes))
    sums = [0.0, 0.0]
    for name, found in (("look", looks), ("take", takes)):
        most = max((rows for rows, _ in found), default=0)
        times = sorted(time for rows, time in found if rows == most)
        if times:
            sums = [sums[0] + times[len(times) // 2], sums[1] + times[-1]]
            print("claim.%s.rows" % name, most)
            print("claim.%s.p50" % name, times[len(times) // 2])
            print("claim.%s.longest" % name, times[-1])
    print("claim.p50", "%.3f" % sums[0])
    print("claim.longest", "%.3f" % sums[1])
    print("claim.senders", "%.3f" % (senders / len(takes)))


if __name__ == "__main__":
    main()
