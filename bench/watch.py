#!/usr/bin/env python3
"""Looks at a server's processes of one kind until it is told to stop.

    watch.py POSTMASTER_PID TITLE

TITLE is how their command lines go on after "postgres: ". Prints, in kB and each of the process that
had most of it: resident memory without shared buffers at the first look, at most, and at the last
look; private memory at most; and the most that any process grew since its first look.
"""

import signal
import sys
import time

INTERVAL = 0.2


def children(pid):
    """The processes that a process has started."""
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(child) for child in file.read().split()]


def memory(pid, title):
    """Private memory, and private and file memory together; None where the process is another's."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            if not file.read().startswith(b"postgres: " + title.encode()):
                return None
        with open("/proc/%d/status" % pid) as file:
            fields = dict(line.split(":", 1) for line in file)
        private = int(fields["RssAnon"].split()[0])
        return private, private + int(fields["RssFile"].split()[0])
    except (OSError, KeyError):     # it has just ended
        return None


def main():
    """Looks until SIGTERM, then prints."""
    postmaster, title = int(sys.argv[1]), sys.argv[2]
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    first, most, last, most_private = {}, {}, {}, {}
    while not stopped:
        for pid in children(postmaster):
            found = memory(pid, title)
            if found is None:
                continue
            private, resident = found
            first.setdefault(pid, resident)
            last[pid] = resident
            most[pid] = max(most.get(pid, 0), resident)
            most_private[pid] = max(most_private.get(pid, 0), private)
        time.sleep(INTERVAL)
    if not first:
        sys.exit("no process with that title was seen")
    print(max(first.values()), max(most.values()), max(last.values()), max(most_private.values()),
          max(most[pid] - first[pid] for pid in first))


if __name__ == "__main__":
    main()
