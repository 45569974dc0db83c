#!/usr/bin/env python3
"""Breaks the rules on purpose, one at a time, and sees that the checker counts it.

    breaks.py DIRECTORY [NAME…]

What the checker has never counted, nobody knows to be zero. Each break is made in a copy of
src/rules, and of the simulation where that asks again what the rules have said.
"""

import os
import shutil
import subprocess
import sys

from check import check_book

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = os.path.join(HERE, "..", "..", "src", "rules")
NEEDED = ("calendar", "window", "due", "decide", "reason", "transition")

DAYS, LEADS, SEED = 100, 200, 1

# Name: what the checker must count, and what is replaced by what.
BREAKS = {
    "a holiday is ignored": ("holiday", [
        ("rules/calendar.c", "return i < c->nholidays && c->holidays[i] == day;", "return i > c->nholidays;")]),
    "windows close a minute late": ("window", [
        ("rules/window.c", "int64_t end = calendar_time(day, minutes * CALENDAR_MINUTE);",
         "int64_t end = calendar_time(day, (minutes + 1) * CALENDAR_MINUTE);")]),
    "what waits behind a limit leaves after the closing": ("window", [
        ("rules/decide.c", "until = sooner(until, window_closes(window, c, now));", "(void) window_closes;")]),
    "a change of clocks is not noticed until the next day": ("window", [
        ("rules/calendar.c", "return before < look->change || after < look->change ? before : after;",
         "return after < 0 ? after : before;")]),
    "one more than a cap": ("cap", [
        ("rules/decide.c", "cap->used < cap->max", "cap->used <= cap->max")]),
    "the gap is forgotten": ("gap", [
        ("rules/decide.c", "until = later(at, plus(q->facts->last_to_person, q->policy->min_gap));", "until = at;")]),
    "nothing expires": ("expired", [
        ("rules/decide.c", "return f->can_expire ?", "return f->can_expire && f->due < 0 ?")]),
    "it expires an hour early": ("unfounded", [
        ("rules/decide.c", "{now >= too_late(f),",
         "{f->can_expire && now >= too_late(f) - 60 * CALENDAR_MINUTE,")]),
    "opt-outs are not asked for": ("opt-out", [
        ("rules/decide.c", "{f->opted_out,", "{now < 0,"),
        ("simulate/engine.c", "!world.leads[run->lead].opted_out && ", "")]),
    "exits are not asked for": ("stop", [
        ("rules/decide.c", "{f->has_exit,", "{now < 0,"),
        ("simulate/engine.c", "!run->has_exit &&", "")]),
    "working days are any days": ("early", [
        ("rules/calendar.c", "for (n = n < 1 ? 1 : n; n > 0;)", "if (n > 0)\n\t\treturn day + n;\n\tfor (n = 1; n > 0;)")]),
    "the time of day is forgotten": ("early", [
        ("rules/due.c", "return s->has_time ? at_time(s, at, earliest, c) : at;",
         "return s->has_time && c == NULL ? at_time(s, at, earliest, c) : at;")]),
    "what was sent is sent again": ("twice", [
        ("rules/transition.c", "case OUTCOME_SENT:\n\t\tcase OUTCOME_NO_STEP:",
         "case OUTCOME_SENT:\n\t\t\tif (in->attempts == 2)\n\t\t\t\treturn retry(in);\n\t\t\t/* FALLTHROUGH */\n\t\tcase OUTCOME_NO_STEP:")]),
    "what is put off has no time any more": ("forgotten", [
        ("rules/transition.c", ".has_due = true,\n\t\t\t\t\t\t   .next_due = by_edit(in, due),",
         ".has_due = in->outcome != OUTCOME_DEFERRED || in->attempts % 3 != 1,\n\t\t\t\t\t\t   .next_due = by_edit(in, due),")]),
    "a cap's day lasts three": ("forgotten", [
        ("rules/decide.c", "until = later(until, cap->day_ends);",
         "until = later(until, plus(cap->day_ends, 2 * CALENDAR_DAY));")]),
}


def build(directory, source=os.path.join(HERE, "..", "..")):
    """The simulation, built from a source into a directory; its path."""
    program = os.path.join(directory, "simulate")
    simulate = os.path.join(source, "test", "simulate")
    rules = [os.path.join(source, "src", "rules", name + ".c") for name in NEEDED]
    parts = sorted(os.path.join(simulate, name) for name in os.listdir(simulate) if name.endswith(".c"))
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
                    "-D_GNU_SOURCE", "-I" + os.path.join(source, "src"), "-I" + simulate, "-o", program,
                    *parts, *rules, "-ljansson"], check=True)
    return program


def simulate(program, book, days, leads, seed):
    """A book, written."""
    subprocess.run([program, book, str(days), str(leads), str(seed)], check=True, timeout=600)
    return book


def source_of(directory, name):
    """Where a file of the replacements is."""
    return os.path.join(directory, "src" if name.startswith("rules") else "test", name)


def check_replacements():
    """Each is of something that is there, once; asked of all, whichever are tried."""
    for name, old, _ in (one for _, replacements in BREAKS.values() for one in replacements):
        with open(source_of(os.path.join(HERE, "..", ".."), name), encoding="utf-8") as file:
            n = file.read().count(old)
        if n != 1:
            raise SystemExit("breaks.py: %s has changed: %r is %d times in it" % (name, old, n))


def copy_broken(directory, replacements):
    """A copy of what is needed, with something replaced in it."""
    for name in ("src/rules", "test/simulate"):
        shutil.copytree(os.path.join(HERE, "..", "..", name), os.path.join(directory, name))
    for name, old, new in replacements:
        with open(source_of(directory, name), encoding="utf-8") as file:
            text = file.read()
        with open(source_of(directory, name), "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))


def try_break(directory, name):
    """How often the checker has counted what a break must lead to."""
    kind, replacements = BREAKS[name]
    os.mkdir(directory)
    try:
        copy_broken(directory, replacements)
        program = build(directory, directory)
        book = simulate(program, os.path.join(directory, "book"), DAYS, LEADS, SEED)
        return kind, len(check_book(book).cases[kind])
    finally:
        shutil.rmtree(directory)


def try_breaks(directory, names=tuple(BREAKS), say=print):
    """How many breaks were seen, and how many were not."""
    seen = 0
    check_replacements()
    for name in names:
        kind, n = try_break(os.path.join(directory, "broken"), name)
        seen += n > 0
        say("%s %-58s %7d" % ("ok      " if n else "FAILED  ", "seen: %s (%s)" % (name, kind), n))
    return seen, len(names) - seen


def main():
    passed, failed = try_breaks(sys.argv[1], sys.argv[2:] or tuple(BREAKS))
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
