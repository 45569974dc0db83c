#!/usr/bin/env python3
"""How evenly requests came at a provider.

    starts.py SECONDS < TIMES       microseconds, one a line

Prints the most that came within any one second, and the fewest a second within any SECONDS of those
between the first and the last.
"""

import bisect
import sys

SECOND = 1000000


def most_within(times, window):
    """Of all windows of that length, wherever they begin."""
    return max(bisect.bisect_left(times, at + window) - i for i, at in enumerate(times))


def fewest_within(times, window):
    """A window has fewest when it begins right after a request."""
    return min((bisect.bisect_right(times, at + window) - i - 1
                for i, at in enumerate(times) if at + window <= times[-1]), default=None)


def main():
    """Prints both."""
    seconds = int(sys.argv[1])
    times = sorted(int(line) for line in sys.stdin)
    fewest = fewest_within(times, seconds * SECOND)
    if fewest is None:
        sys.exit("the requests do not reach over %d s" % seconds)
    print(most_within(times, SECOND), "%.2f" % (fewest / seconds))


if __name__ == "__main__":
    main()
