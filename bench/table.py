#!/usr/bin/env python3
"""The table of the benchmark, from the samples of a results directory.

    table.py RESULTS        prints the table, and writes it as RESULTS/table.tsv

A figure is the median of its rounds; a ratio of two figures is the median of each round's ratio,
since both were measured in the same minute. "ratio" is how the figure stands to its target: one or
more is met, whichever way the target goes.
"""

import collections
import csv
import os
import statistics
import sys

Line = collections.namedtuple("Line", "row what figure unit relation target")
Judged = collections.namedtuple("Judged", "row what figure unit relation target ratio verdict")


class Samples:
    """What was measured, by row and name, in order of the rounds."""

    def __init__(self, directory):
        self.values = collections.defaultdict(dict)
        path = os.path.join(directory, "samples.tsv")
        with open(path, encoding="utf-8") as file:
            for row, name, number, value in csv.reader(file, delimiter="\t"):
                self.values[int(row), name][int(number)] = float(value)

        self.sizes = {}
        path = os.path.join(directory, "setup.tsv")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.sizes = dict(csv.reader(file, delimiter="\t"))

    def size(self, name):
        """A size that was asked for, as people write it."""
        return "{:,}".format(int(self.sizes[name])) if name in self.sizes else "?"

    def busy(self, row, name):
        """Cores that server and sink have kept busy."""
        used = [self.median(row, "%s.%s" % (kind, name)) for kind in ("rate", "cpu", "sink")]
        return used[0] * (used[1] + used[2]) / 1e6 if None not in used else None

    def rounds(self, row, name):
        """Values by round."""
        return self.values.get((row, name), {})

    def median(self, row, name):
        """None where nothing was measured."""
        found = self.rounds(row, name)
        return statistics.median(found.values()) if found else None

    def most(self, row, name):
        """None where nothing was measured."""
        return max(self.rounds(row, name).values(), default=None)

    def ratio(self, row, above, below):
        """The median of each round's ratio; of the medians where the rounds differ."""
        a, b = self.rounds(row, above), self.rounds(row, below)
        both = [a[number] / b[number] for number in a if b.get(number)]
        if both:
            return statistics.median(both)
        a, b = self.median(row, above), self.median(row, below)
        return a / b if a is not None and b else None

    def ceiling(self):
        """Steps per second that the parts of a step leave room for."""
        parts = [self.median(2, name) for name in ("part.database", "part.libcurl", "part.sink")]
        cores = self.median(2, "cores")
        return cores * 1e6 / sum(parts) if cores and None not in parts else None

    def sum(self, row, *names):
        """None where one of them is not there."""
        found = [self.median(row, name) for name in names]
        return sum(found) if None not in found else None


def part(value, of):
    """In percent."""
    return 100 * value / of if value is not None and of else None


def lines(s):
    """Every line of the table; those without a target tell how the others came about."""
    yield Line(1, "%s due runs: cadence_run" % s.size("STEPS"), s.median(1, "rate.cadence"), "steps/s", "", None)
    yield Line(1, "CPU of a step: server", s.median(1, "cpu.cadence"), "us", "", None)
    yield Line(1, "CPU of a step: sink", s.median(1, "sink.cadence"), "us", "", None)
    yield Line(1, "cores kept busy by both", s.busy(1, "cadence"), "", "", None)
    for name, title, target in (
            ("node", "node_worker.js", 1.8), ("graphile", "graphile_worker.js", 6),
            ("pgboss", "pg_boss.js", 3), ("edge", "edge_function.js", 60),
            ("plain", "plain_loop.c", None)):
        yield Line(1, title, s.median(1, "rate." + name), "steps/s", "", None)
        yield Line(1, "cadence_run / " + title, s.ratio(1, "rate.cadence", "rate." + name), "x",
                   ">=" if target else "", target)
    for name in ("database", "libcurl", "sink"):
        yield Line(2, "CPU of a step: %s alone" % name, s.median(2, "part." + name), "us", "", None)
    yield Line(2, "CPU of a step: cadence_run with sink", s.sum(2, "cpu.base", "sink.base"), "us",
               "", None)
    yield Line(2, "ceiling: cores / sum of the parts", s.ceiling(), "steps/s", "", None)
    yield Line(2, "cadence_run / ceiling", part(s.median(2, "rate.base"), s.ceiling()), "%",
               ">=", 80)
    yield Line(3, "provider of %s ms, %s in flight: cadence_run" % (
        s.size("SLOW_MS"), s.size("SLOW_IN_FLIGHT")), s.median(3, "rate.cadence"), "steps/s", "", None)
    yield Line(3, "node_worker.js", s.median(3, "rate.node"), "steps/s", "", None)
    yield Line(3, "cadence_run / node_worker.js", s.ratio(3, "rate.cadence", "rate.node"), "x",
               "", None)
    yield Line(3, "cadence_run / (in flight / latency)",
               part(s.median(3, "rate.cadence"), s.median(3, "most")), "%", ">=", 95)
    yield Line(4, "%s runs, warm" % s.size("GROWN_RUNS"), s.median(4, "rate.warm"), "steps/s", "", None)
    yield Line(4, "warm, right after a checkpoint", s.median(4, "rate.checkpoint"),
               "steps/s", "", None)
    yield Line(4, "cold", s.median(4, "rate.cold"), "steps/s", "", None)
    yield Line(4, "warm / row 1 of the same run",
               part(s.median(4, "rate.warm"), s.median(4, "rate.base")), "%", ">=", 90)
    yield Line(4, "cold / row 1 of the same run",
               part(s.median(4, "rate.cold"), s.median(4, "rate.base")), "%", "", None)
    yield Line(4, "claim of %d, median" % (s.median(4, "claim.take.rows") or 0),
               s.median(4, "claim.p50"), "ms", "<", 10)
    yield Line(4, "claim, longest", s.median(4, "claim.longest"), "ms", "", None)
    yield Line(5, "old snapshot: first %s" % s.size("STEPS"), s.median(5, "rate.start"), "steps/s", "", None)
    yield Line(5, "old snapshot: in between", s.median(5, "rate.middle"), "steps/s", "", None)
    yield Line(5, "old snapshot: last %s of %s" % (
        s.size("STEPS"), s.size("SNAPSHOT_STEPS")), s.median(5, "rate.end"), "steps/s", "", None)
    yield Line(5, "start / row 1 of the same run", part(s.ratio(5, "rate.start", "rate.base"), 1),
               "%", ">=", 80)
    yield Line(5, "end / row 1 of the same run", part(s.ratio(5, "rate.end", "rate.base"), 1),
               "%", ">=", 80)
    yield Line(6, "%s due runs: a worker's growth" % s.size("MEMORY_RUNS"),
               scaled(s.median(6, "memory.growth"), 1 / 1024), "MB", "<", 64)
    yield Line(6, "a worker's peak", scaled(s.median(6, "memory.peak"), 1 / 1024), "MB", "", None)
    yield Line(6, "log row", scaled(s.median(6, "memory.log"), 1 / 1024), "kB", "<", 1024)
    yield Line(7, "nothing due: CPU a minute", s.median(7, "idle.cpu"), "ms", "<", 5)
    yield Line(7, "nothing due: the most of one minute", s.most(7, "idle.cpu"), "ms", "", None)
    yield Line(7, "nothing due: WAL", s.median(7, "idle.wal"), "bytes", "<=", 0)
    yield Line(8, "WAL of a step, grown tables", s.median(8, "wal.step"), "bytes", "", None)
    yield Line(8, "and full pages", s.median(8, "wal.pages"), "bytes", "", None)
    yield Line(8, "node_worker.js: WAL of a step", s.median(8, "wal_node.step"), "bytes", "", None)
    yield Line(8, "cadence_run / node_worker.js", part(s.ratio(8, "wal.step", "wal_node.step"), 1), "%",
               "<=", 100)
    yield Line(9, "one step, call to return, median", s.median(9, "call.p50"), "ms", "<", 15)
    yield Line(9, "one step, call to return, p99", s.median(9, "call.p99"), "ms", "", None)
    yield Line(9, "resident: due to first byte, median", s.median(9, "resident.p50"), "ms", "", None)
    yield Line(9, "resident: due to first byte, p99", s.median(9, "resident.p99"), "ms", "<", 20)
    yield Line(10, "%s callers at once, until all is sent" % s.size("CALLERS"),
               s.median(10, "rate.sent"), "steps/s", "", None)
    yield Line(10, "until the last of them has returned", s.median(10, "rate.callers"), "steps/s", "", None)
    yield Line(10, "all sent: so many callers / one", part(s.ratio(10, "rate.sent", "rate.base"), 1),
               "%", ">=", 85)
    yield Line(10, "all returned: so many callers / one",
               part(s.ratio(10, "rate.callers", "rate.base"), 1), "%", "", None)
    yield Line(11, "all due at one instant, 1 GB of buffers: cadence_run", s.median(11, "rate.cadence"),
               "steps/s", "", None)
    yield Line(11, "node_worker.js", s.median(11, "rate.node"), "steps/s", "", None)
    yield Line(11, "cadence_run / node_worker.js", s.ratio(11, "rate.cadence", "rate.node"), "x",
               ">=", 1.8)
    yield Line(12, "%s resident workers" % s.size("WORKERS"), s.median(12, "rate.resident"), "steps/s", "", None)
    yield Line(12, "resident workers / row 1 of the same run",
               part(s.ratio(12, "rate.resident", "rate.base"), 1), "%", ">=", 100)
    yield from lines_of_providers(s)


def lines_of_providers(s):
    """Rows 13 to 22."""
    for name in ("webhook", "evolution", "whatsapp_cloud"):
        yield Line(13, name, s.median(13, "rate." + name), "steps/s", "", None)
    for name in ("evolution", "whatsapp_cloud"):
        yield Line(13, name + " / webhook", part(s.ratio(13, "rate." + name, "rate.webhook"), 1), "%", ">=", 95)
    yield Line(14, "no limits", s.median(14, "rate.unlimited"), "steps/s", "", None)
    yield Line(14, "limits that let all pass", s.median(14, "rate.limited"), "steps/s", "", None)
    yield Line(14, "limits / none", part(s.ratio(14, "rate.limited", "rate.unlimited"), 1), "%", ">", 95)
    yield Line(15, "max_rate 80: executions at work", s.median(15, "executions"), "", "", None)
    yield Line(15, "most starts in any second", s.most(15, "starts.most"), "", "<=", 88)
    yield Line(15, "fewest a second in any %s s" % s.size("RATE_SECONDS"), s.median(15, "starts.least"), "", ">=", 76)
    yield Line(16, "mails over kept connections", s.median(16, "rate.mail"), "mails/s", ">=", 1500)
    yield Line(16, "CPU of a mail: server", s.median(16, "cpu.mail"), "us", "", None)
    yield Line(16, "CPU of a mail: sink", s.median(16, "sink.mail"), "us", "", None)
    yield Line(16, "nodemailer.js, the pool alone", s.median(16, "rate.pool"), "mails/s", "", None)
    yield Line(16, "nodemailer.js, a worker", s.median(16, "rate.nodemailer"), "mails/s", "", None)
    yield Line(16, "cadence_run / the pool alone", s.ratio(16, "rate.mail", "rate.pool"), "x", ">=", 2)
    yield Line(16, "cadence_run / the worker", s.ratio(16, "rate.mail", "rate.nodemailer"), "x", "", None)
    yield from lines_of_servers(s, s.size("SERVERS"))
    yield Line(18, "every protocol in use: a worker's peak", scaled(s.median(18, "memory.peak"), 1 / 1024),
               "MB", "<", 64)
    yield Line(18, "and its growth", scaled(s.median(18, "memory.growth"), 1 / 1024), "MB", "", None)
    yield Line(19, "a receipt: CPU of its call", s.median(19, "cpu.receipt"), "us", "", None)
    yield Line(19, "receipts beside an execution that sends", s.median(19, "rate.receipts"), "/s", ">=",
               0.99 * int(s.sizes.get("RECEIPT_RATE", 0)))
    for name, target in (("p50", None), ("p99", 50), ("longest", None)):
        yield Line(19, "and a call, " + name, s.median(19, "receipt." + name), "ms", "<" if target else "", target)
    yield Line(19, "steps meanwhile", s.median(19, "rate.beside"), "steps/s", "", None)
    yield Line(19, "without receipts", s.median(19, "rate.base"), "steps/s", "", None)
    for kind, title in (("phone", "number"), ("email", "mailbox"), ("wa_lid", "LID"), ("wa_user_id", "user id")):
        yield Line(20, "an answer of one of %s people, by %s" % (s.size("PEOPLE"), title),
                   s.median(20, "find." + kind), "ms", "<", 2)
    for name, title in (("message", "an answer of 4 MB"), ("nothing", "4 MB that nobody can read")):
        yield Line(20, title, s.median(20, "body." + name), "ms", "<", 200)
        yield Line(20, title + ": memory", scaled(s.median(20, "memory." + name), 1 / 1024), "MB", "<", 64)
    yield Line(21, "%s addresses blocked: CPU of a step" % s.size("BLOCKED_ENTRIES"), s.median(21, "cpu.blocked"),
               "us", "", None)
    yield Line(21, "none blocked", s.median(21, "cpu.base"), "us", "", None)
    yield Line(21, "CPU: so many blocked / none", part(s.ratio(21, "cpu.blocked", "cpu.base"), 1), "%", "<", 102)
    yield Line(21, "steps: so many blocked / none", part(s.ratio(21, "rate.blocked", "rate.base"), 1), "%", "", None)
    yield from lines_of_hooks(s)


def lines_of_hooks(s):
    """Row 22."""
    yield Line(22, "%s webhooks a second for %s s: taken" % (s.size("RECEIPT_RATE"), s.size("RECEIPT_SECONDS")),
               part(s.median(22, "hook.taken"), s.median(22, "hook.calls")), "%", ">=", 100)
    for when, title in (("beside", "while an execution sends"), ("alone", "while none does")):
        for name, target in (("p50", None), ("p99", 250 if when == "beside" else None), ("longest", None)):
            yield Line(22, "a call %s, %s" % (title, name), s.median(22, "%s.%s" % (when, name)), "ms",
                       "<" if target else "", target)
    yield Line(22, "steps meanwhile", s.median(22, "rate.beside"), "steps/s", "", None)
    yield Line(22, "the door's memory, at most", scaled(s.median(22, "door.memory"), 1 / 1024), "MB", "<", 32)


def lines_of_servers(s, many):
    """Row 17."""
    for kind, limits in (("", ""), ("_limited", " with limits")):
        one, all_of_them = "one" + kind, "many" + kind
        yield Line(17, "%s due runs, one server%s" % (s.size("SERVERS_STEPS"), limits),
                   s.median(17, "rate." + one), "steps/s", "", None)
        yield Line(17, "%s servers%s" % (many, limits), s.median(17, "rate." + all_of_them), "steps/s", "", None)
        yield Line(17, "%s servers / one%s" % (many, limits),
                   part(s.ratio(17, "rate." + all_of_them, "rate." + one), 1), "%", "", None)
        claims = [s.sum(17, name + ".claim.p50", name + ".claim.senders") for name in (one, all_of_them)]
        yield Line(17, "claim of 500 and the senders' states, one%s" % limits, claims[0], "ms", "", None)
        yield Line(17, "%s servers%s" % (many, limits), claims[1], "ms", "", None)
        yield Line(17, "claim: %s servers / one%s" % (many, limits),
                   part(claims[1], claims[0]), "%", "<=", 105)


def scaled(value, by):
    """None stays None."""
    return None if value is None else value * by


def judge(line):
    """How a figure stands to its target."""
    if line.target is None or line.figure is None:
        return Judged(*line, None, "" if line.target is None else "not measured")
    if line.relation in (">=", ">"):
        met = line.figure > line.target or (line.relation == ">=" and line.figure == line.target)
        ratio = line.figure / line.target
    else:
        met = line.figure < line.target if line.relation == "<" else line.figure <= line.target
        ratio = line.target / line.figure if line.figure else float(met)
    return Judged(*line, ratio, "met" if met else "MISSED")


def judged(directory):
    """The lines of those rows of which something was measured."""
    samples = Samples(directory)
    measured = {row for row, _ in samples.values}
    for line in lines(samples):
        if line.row in measured and (line.figure is not None or line.target is not None):
            yield judge(line)


def number(value):
    """As many digits as mean something."""
    if value is None:
        return "-"
    if abs(value) >= 100 or value == int(value):
        return "%.0f" % value
    return "%.3g" % value


def columns(line):
    """A line of the table as text."""
    target = "" if line.target is None else "%s %s" % (line.relation, number(line.target))
    figure = "%s %s" % (number(line.figure), line.unit) if line.figure is not None else "-"
    ratio = "" if line.ratio is None else "%.2f" % line.ratio
    return str(line.row), line.what, figure, target, ratio, line.verdict


def notes(directory):
    """What was scaled down or left out."""
    path = os.path.join(directory, "notes.tsv")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return list(csv.reader(file, delimiter="\t"))


def write_tsv(directory, table):
    """For programs, with all digits."""
    with open(os.path.join(directory, "table.tsv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(Judged._fields)
        writer.writerows(table)


def main():
    """Prints the table."""
    directory = sys.argv[1]
    table = list(judged(directory))
    write_tsv(directory, table)
    form = "%3s  %-46s %15s  %-9s %6s  %s"
    print((form % ("row", "", "figure", "target", "ratio", "")).rstrip())
    for line in table:
        print((form % columns(line)).rstrip())
    for row, text in notes(directory):
        print("row %s: %s" % (row, text))


if __name__ == "__main__":
    main()
