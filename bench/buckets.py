#!/usr/bin/env python3
"""Sums what `perf script` prints into some ten buckets, in microseconds per step.

    perf script -F pid,period,ip,sym,dso | buckets.py STEPS FUNCTIONS

A sample belongs to the first bucket that any function of its stack names: WAL is WAL wherever it is
written, and an index that a foreign key's trigger reads is the trigger's. PostgreSQL as packaged
names only those of its functions that other files see, so the patterns know no others. The functions
that samples were taken in go into the file FUNCTIONS.
"""

import collections
import re
import sys

BUCKETS = (
    ("commit: WAL write and flush", r"XLogFlush|XLogWrite|issue_xlog_fsync|RecordTransactionCommit"),
    ("WAL records", r"XLogInsert|XLogRecord|CopyXLogRecord|GetXLogBuffer|AdvanceXLInsertBuffer"),
    ("foreign key triggers", r"RI_FKey_|AfterTrigger(EndQuery|FireDeferred)"),
    ("index inserts", r"ExecInsertIndexTuples|index_insert|_bt_doinsert|btinsert"),
    ("heap inserts, updates and locks", r"heap_(insert|update|multi_insert|lock_tuple|toast)|"
     r"heapam_tuple_(insert|update|lock)|table_tuple_"),
    ("index and heap reads", r"index_(getnext|fetch|beginscan|rescan)|btgettuple|_bt_(search|first)|"
     r"heap_(fetch|getnext|hot_search)|heapam_(index|scan)"),
    ("parsing and planning", r"pg_plan_quer|standard_planner|BuildCachedPlan|RevalidateCachedQuery|"
     r"GetCachedPlan|pg_analyze|raw_parser"),
    ("JSON input of events", r"jsonb_in|jsonb_from_cstring|JsonbValueToJsonb|pg_parse_json"),
    ("executor, the rest", r"standard_Executor|^Executor|ExecProcNode|^_?SPI_|AfterTrigger"),
    ("transaction start and end", r"StartTransaction|CommitTransaction|ResourceOwnerRelease"),
    ("kernel: network", r"^(__)?(x64_)?(__)?sys_(send|recv|connect|socket|close)|tcp_|inet_|sock_|skb_|"
     r"net_rx|__dev_queue|ip_(output|rcv|queue)|loopback_xmit|^(send|recv|sendto|recvfrom|__send|__libc_(send|recv))"),
    ("kernel: poll", r"do_sys_poll|do_poll|ep_poll|epoll|^poll|__poll|sys_poll"),
)

LIBRARIES = (
    ("libcurl", r"libcurl"),
    ("JSON of requests and answers", r"libjansson"),
    ("the extension itself", r"cadence_runner"),
)

FUNCTIONS_MOST = 40

FRAME = re.compile(r"^\s*[0-9a-f]+ (.*) \((.*)\)$")
HEAD = re.compile(r"^\s*(\d+)\s+(\d+)")


def samples(lines):
    """Yields weight in nanoseconds, symbols and libraries of each stack."""
    weight, symbols, libraries = None, [], []
    for line in lines:
        frame = FRAME.match(line)
        if frame:
            symbols.append(frame.group(1).split("+0x")[0])
            libraries.append(frame.group(2))
            continue
        head = HEAD.match(line)
        if head:
            weight, symbols, libraries = int(head.group(2)), [], []
        elif not line.strip() and weight is not None:
            yield weight, symbols, libraries
            weight = None
    if weight is not None:
        yield weight, symbols, libraries


def bucket(symbols, libraries):
    """The name of a stack's bucket."""
    for name, pattern in BUCKETS:
        if any(re.search(pattern, symbol) for symbol in symbols):
            return name
    for name, pattern in LIBRARIES:
        if any(re.search(pattern, library) for library in libraries):
            return name
    return "everything else"


def write(file, title, sums, most, steps):
    """A table, the largest first, with all of them together last."""
    total = sum(sums.values())
    print("%s\tus/step\tpercent" % title, file=file)
    for name, weight in sums.most_common(most):
        print("%s\t%.1f\t%.1f" % (name, weight / 1e3 / steps, 100 * weight / total), file=file)
    print("all\t%.1f\t100" % (total / 1e3 / steps), file=file)


def main():
    """Prints the buckets, the largest first."""
    steps = int(sys.argv[1])
    sums, functions = collections.Counter(), collections.Counter()
    for weight, symbols, libraries in samples(sys.stdin):
        sums[bucket(symbols, libraries)] += weight
        if symbols:
            functions["%s (%s)" % (symbols[0], libraries[0].rpartition("/")[2])] += weight
    if not sums:
        sys.exit("perf saw nothing")
    write(sys.stdout, "bucket", sums, None, steps)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        write(file, "function", functions, FUNCTIONS_MOST, steps)


if __name__ == "__main__":
    main()
