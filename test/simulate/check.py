#!/usr/bin/env python3
"""Counts what must not happen, in a book of what has happened (simulate.c, or week.py, writes it).

    check.py BOOK

Nothing of the engine is used: local time, windows, caps and due times are computed again, by
Python's zoneinfo. Prints a line for each kind, in words, and the first cases of what is not zero;
the exit status is 1 when anything is not.
"""

import json
import sys
from bisect import bisect_right
from collections import Counter, defaultdict, namedtuple

from local_time import DAY, DAY_ONE, HOUR, MINUTE, aware, due, is_open, local_day, spans_of
from datetime import timedelta

KINDS = {
    "window": "outside the window",
    "holiday": "on a holiday",
    "opt-out": "after an opt-out's commit",
    "stop": "after another stop: a reply, an exit, a pause, a cancel, a cadence switched off",
    "twice": "twice: one step of one run",
    "cap": "over a cap",
    "gap": "sooner than intervalo_minimo after the last",
    "expired": "later than their validade",
    "early": "before they were due",
    "gone": "of a step that was removed",
    "forgotten": "forgotten: a step that should have been sent, and was not, or days late",
    "unfounded": "skipped, or their run ended, without a reason that is there",
}

# So much time at which nothing is in a step's way, and it is still not sent: it is forgotten.
PATIENCE = 8 * HOUR

# A step keeps its hour on the day that it has come to, so of that day as much goes by as is before it.
HOUR_KEPT = 2 * DAY

# The waits after a failure grow up to six hours, and a tenth.
RETRY_MOST = 7 * HOUR

# What waits for another day by a policy of yesterday is not called back by an edit.
POLICY_WAIT = 8 * DAY

# A claim that is under way when a step is edited, or that a slow answer ends.
UNDER_WAY = 10 * MINUTE

# On a server a row's time is its transaction's, and what the book has is when that has committed.
COMMITTED_LATER = 5 * 1000000

CASES_SHOWN = 3


# No answer takes longer.
SLOW_ANSWER = 30 * 1000000

# Of a run: since when it stands behind a place of its cadence, and the steps that it has had.
Stand = namedtuple("Stand", "since position done")


class Versions:
    """What something was, and since when."""

    def __init__(self):
        self.times = []
        self.values = []

    def put(self, at, value):
        self.times.append(at)
        self.values.append(value)

    def at(self, at):
        """As of an instant; None: it was not there yet."""
        place = bisect_right(self.times, at)
        return self.values[place - 1] if place else None

    def changes(self, since, until):
        """The times of changes in between."""
        return self.times[bisect_right(self.times, since):bisect_right(self.times, until)]


class Ledger:
    """A book, read into what it says of each thing."""

    def __init__(self, lines):
        self.companies = defaultdict(Versions)
        self.cadences = defaultdict(Versions)
        self.steps = defaultdict(Versions)
        self.steps_of = defaultdict(set)
        self.edits = defaultdict(list)
        self.leads = {}
        self.holidays = []
        self.runs = {}
        self.happened = defaultdict(list)       # by run
        self.of_lead = defaultdict(list)        # opt-outs, opt-ins, replies
        self.downs = []
        self.sent = []
        self.waits = Counter()
        self.begin = self.end = 0
        self._holidays_known = {}
        for entry in sorted((json.loads(line) for line in lines), key=lambda e: e["at"]):
            getattr(self, "read_" + entry["what"].replace(" ", "_").replace("-", "_"),
                    self.read_of_run)(entry)

    def read_begin(self, e):
        self.begin = e["at"]

    def read_end(self, e):
        self.end = e["at"]

    def read_company(self, e):
        self.companies[e["id"]].put(e["at"], e)

    def read_cadence(self, e):
        self.cadences[e["id"]].put(e["at"], e)

    def read_step(self, e):
        self.steps[e["id"]].put(e["at"], e)
        self.steps_of[e["cadence"]].add(e["id"])
        self.edits[e["cadence"]].append(e["at"])

    def read_step_gone(self, e):
        cadence = self.steps[e["id"]].values[-1]["cadence"]
        self.steps[e["id"]].put(e["at"], None)
        self.edits[cadence].append(e["at"])

    def read_holiday(self, e):
        self.holidays.append((e["at"], DAY_ONE + timedelta(days=e["day"]), e["place"], e["company"]))

    def read_lead(self, e):
        self.leads[e["id"]] = e

    def read_run(self, e):
        self.runs[e["id"]] = e

    def read_down(self, e):
        self.downs.append(e)

    def read_wait(self, e):
        self.waits[e["why"]] += 1

    def read_opt_out(self, e):
        self.of_lead[e["lead"]].append(e)

    read_opt_in = read_reply = read_opt_out

    def read_of_run(self, e):
        self.happened[e["run"]].append(e)
        if e["what"] == "sent":
            self.sent.append(e)

    def lead_of(self, run):
        return self.leads[self.runs[run]["lead"]]

    def holidays_of(self, lead, at):
        """Those that concern a person, as they were known at an instant."""
        known = bisect_right(self.holidays, at, key=lambda h: h[0])
        key = lead["company"], lead["place"], known
        if key not in self._holidays_known:
            self._holidays_known[key] = frozenset(
                day for _, day, place, company in self.holidays[:known]
                if lead["place"].startswith(place) and company in (-1, lead["company"]))
        return self._holidays_known[key]

    def janela_of(self, cadence, at):
        """The cadence's own window, else its company's."""
        version = self.cadences[cadence].at(at)
        if version["janela"] is not None:
            return version["janela"]
        return self.companies[version["company"]].at(at)["janela"]


class Checker:
    """All that is counted."""

    def __init__(self, ledger):
        self.book = ledger
        self.cases = {kind: [] for kind in KINDS}
        self.counts = defaultdict(Counter)      # by the name of a cap and its day: sent
        self.tried = defaultdict(Counter)       # the same with what has failed
        self.last_to = {}                       # lead: when, last
        self.tries_of = defaultdict(list)

    def add(self, kind, entry, words=""):
        self.cases[kind].append((entry, words))

    def check(self):
        for run in self.book.runs:
            self.check_order(run)
        self.count_tries()
        for entry in self.book.sent:
            self.check_sent(entry)
        for run in self.book.runs:
            self.check_steps(run)

    # ---- one message ---------------------------------------------------------------------

    def check_sent(self, e):
        book = self.book
        run = book.runs[e["run"]]
        lead = book.leads[run["lead"]]
        holidays = book.holidays_of(lead, e["decided"])
        if local_day(e["at"], lead["zone"]) in holidays:
            self.add("holiday", e, lead["zone"])
        elif not is_open(e["at"], book.janela_of(run["cadence"], e["decided"]), lead["zone"], holidays):
            self.add("window", e, "%s, %s" % (lead["zone"], book.janela_of(run["cadence"], e["decided"])))
        if book.steps[e["step"]].at(e["decided"]) is None:
            self.add("gone", e)
        if not book.cadences[run["cadence"]].at(e["at"])["ativo"]:
            self.add("stop", e, "the cadence is switched off")
        if self.is_out(run["lead"], e["at"]):
            self.add("opt-out", e)
        self.check_caps(e, run, lead)
        self.check_gap(e, run, lead)

    def is_out(self, lead, at):
        acts = [a["what"] for a in self.book.of_lead[lead] if a["what"] != "reply" and a["at"] < at]
        return bool(acts) and acts[-1] == "opt-out"

    def caps_of(self, e, run, lead):
        """Each cap's name, its day and how many it lets through."""
        cadence = self.book.cadences[run["cadence"]].at(e["decided"])
        company = self.book.companies[lead["company"]].at(e["decided"])
        its_day = local_day(e["at"], company["zone"])
        yield ("person", run["lead"]), local_day(e["at"], lead["zone"]), company["max_of_person"]
        yield ("company", lead["company"]), its_day, company["max"]
        yield ("cadence", run["cadence"]), its_day, cadence["max"]
        if self.is_first(e):
            yield ("new", run["cadence"]), its_day, cadence["max_new"]

    def is_first(self, e):
        """The first message of its run."""
        return not any(h["what"] == "sent" and h["at"] < e["at"] for h in self.book.happened[e["run"]])

    def check_caps(self, e, run, lead):
        for name, day, most in self.caps_of(e, run, lead):
            if not most:
                # one that is set later counts from then on
                self.counts[name][day] = 0
                continue
            self.counts[name][day] += 1
            if self.counts[name][day] > most:
                self.add("cap", e, "%s: %d of %d" % (name[0], self.counts[name][day], most))

    def count_tries(self):
        """What has failed, or was given back, has had its place as well, for a while."""
        for run, happened in self.book.happened.items():
            for e in happened:
                if e["what"] in ("sent", "failed", "again", "unsent"):
                    self.tries_of[self.book.runs[run]["lead"]].append(e["at"])
                    for name, day, _ in self.caps_of(e, self.book.runs[run], self.book.lead_of(run)):
                        self.tried[name][day] += 1

    def check_gap(self, e, run, lead):
        company = self.book.companies[lead["company"]].at(e["decided"])
        last = self.last_to.get(run["lead"])
        if last is not None and e["at"] - last < company["gap"]:
            self.add("gap", e, "%d s after the last, not %d" % ((e["at"] - last) / 1e6, company["gap"] / 1e6))
        # a policy that is set later knows of no message before
        if company["gap"] or company["max_of_person"]:
            self.last_to[run["lead"]] = e["at"]

    # ---- one run -------------------------------------------------------------------------

    def check_order(self, run):
        """Nothing twice, and nothing while the run stands still."""
        had = set()
        stands = None
        exits = False
        for e in self.book.happened[run]:
            if e["what"] == "sent":
                if e["step"] in had:
                    self.add("twice", e)
                had.add(e["step"])
                if stands or exits:
                    self.add("stop", e, stands or "exit")
            elif e["what"] in ("stop", "pause", "done"):
                stands = "%s: %s" % (e["what"], e["why"])
            elif e["what"] == "go on":
                stands = None
            elif e["what"] == "exit":
                exits = True

    def check_steps(self, run):
        """Step by step: when each was due, and what became of it."""
        book = self.book
        happened = book.happened[run]
        stand = Stand(book.runs[run]["at"], 0, set())
        waits_since = 0
        for place, e in enumerate(happened):
            if e["what"] in ("sent", "skip", "settle", "again"):
                if e["step"] not in stand.done:
                    tries = [h for h in happened[waits_since:place] if h["what"] in ("failed", "again", "sent")]
                    self.check_time(e, run, stand, tries)
                    waits_since = place + 1
                version = book.steps[e["step"]].at(e["decided"])
                stand = Stand(e["at"], version["ordem"] if version else stand.position,
                              stand.done | {e["step"]})
            elif e["what"] in ("done", "stop"):
                self.check_end(e, run, stand.done)
        self.check_rest(run, stand)

    def next_step(self, run, stand, at):
        """What a run would have next, as of an instant; None: nothing."""
        versions = ((self.book.steps[s].at(at), s)
                    for s in self.book.steps_of[self.book.runs[run]["cadence"]] - stand.done)
        return min(((v["ordem"], s) for v, s in versions if v and v["ordem"] > stand.position),
                   default=(0, None))[1]

    def dues(self, run, stand, at):
        """The steps that came next since a run's last move, when, and when they were due then."""
        book = self.book
        lead = book.lead_of(run)
        start = book.runs[run]["at"]
        before = None
        for t in [stand.since] + [t for t in book.edits[book.runs[run]["cadence"]] if stand.since < t < at]:
            step = self.next_step(run, stand, t)
            edited = before is not None and book.steps[before].changes(t - 1, t)
            if step is None or step == before and not edited:
                before = step
                continue
            before = step
            version = book.steps[step].at(t)
            # a holiday that is decreed before a slow answer is known when that is recorded
            for holidays in {book.holidays_of(lead, t), book.holidays_of(lead, min(t + SLOW_ANSWER, at))}:
                yield step, t, due(version, stand.since, start, t, lead["zone"], holidays)

    def check_time(self, e, run, stand, tries):
        """Not before it was due, nor after its validade."""
        version = self.book.steps[e["step"]].at(e["decided"])
        every = list(self.dues(run, stand, e["at"]))
        dues = [d for s, _, d in every if s == e["step"]]
        if version is None or not dues:
            if e["what"] == "sent" and version is not None:
                self.add("early", e, "it was another step's turn")
            return
        near = any(t > stand.since and (t < stand.since + UNDER_WAY or t > e["decided"] - UNDER_WAY)
                   for _, t, _ in every)
        if not tries and not near:
            dues = [d for s, t, d in every if s == e["step"] and t == every[-1][1]] or dues
        # what is edited while a run is paused for an uncertain attempt counts from its settlement
        dues += [e["decided"]] if len(every) > 1 and any(h["what"] == "failed" for h in tries) else []
        first, last = min(dues), max(dues)
        valid = version["validade"]
        if e["what"] == "sent" and e["at"] < first:
            self.add("early", e, "due %s" % aware(first))
        if e["what"] == "sent" and valid and e["at"] > last + valid:
            self.add("expired", e, "due %s" % aware(last))
        if e["what"] == "skip":
            self.check_skip(e, version, first, tries)
        if e["at"] - last > PATIENCE and not (valid and valid < PATIENCE):
            self.check_delay(e, run, last, min(e["at"], last + valid if valid else e["at"]))

    def check_skip(self, e, version, first, tries):
        why = e["why"]
        wanted = any(h["what"] == "skip wanted" and h["step"] == e["step"] and h["at"] <= e["at"]
                     for h in self.book.happened[e["run"]])
        ok = (why == "PULADO" and wanted or why == "failed" and version["pular"] and tries or
              why == "VENCIDO" and version["validade"] and e["at"] > first + version["validade"])
        if not ok:
            self.add("unfounded", e, "skipped: %s" % why)

    def check_end(self, e, run, done):
        """A run that ends has had all its steps, or has a reason."""
        book = self.book
        lead = book.runs[run]["lead"]
        before = [a["what"] for a in book.of_lead[lead] if a["at"] <= e["at"] + COMMITTED_LATER]
        if e["what"] == "stop":
            exits = any(h["what"] == "exit" and h["at"] <= e["at"] + COMMITTED_LATER
                        for h in book.happened[run])
            if not {"OPT_OUT": self.is_out(lead, e["at"] + COMMITTED_LATER), "SAIDA": exits, "operator": True,
                    "reply": "reply" in before}.get(e["why"], False):
                self.add("unfounded", e, "stopped: %s" % e["why"])
            return
        for step in book.steps_of[book.runs[run]["cadence"]]:
            if step not in done and self.was_always_there(step, book.runs[run]["at"], e["at"]):
                self.add("forgotten", e, "the run is done without step %s" % step)

    def was_always_there(self, step, since, until):
        """Of that place, too."""
        versions = self.book.steps[step]
        ordens = {v and v["ordem"] for v in
                  [versions.at(since)] + [versions.at(t) for t in versions.changes(since, until)]}
        return len(ordens) == 1 and None not in ordens

    def check_rest(self, run, stand):
        """What an active run waits for in the end."""
        book = self.book
        last = [h["what"] for h in book.happened[run] if h["what"] in ("stop", "pause", "done", "go on")]
        if last and last[-1] != "go on":
            return
        dues = list(self.dues(run, stand, book.end))
        if dues and book.end - dues[-1][2] > PATIENCE:
            step, _, last = dues[-1]
            end = {"what": "end", "at": book.end, "run": run, "step": step}
            self.check_delay(end, run, last, book.end)

    # ---- what was in the way ----------------------------------------------------------------

    def check_delay(self, e, run, since, until):
        free = self.free_time(run, since, until)
        version = self.book.steps[e["step"]].at(since)
        if free > PATIENCE + (HOUR_KEPT if version and version["horario"] >= 0 else 0):
            self.add("forgotten", e, "due %s; %.1f h with nothing in its way" % (aware(since), free / HOUR))

    def free_time(self, run, since, until):
        """How long a message could have left, between two instants."""
        book = self.book
        lead = book.lead_of(run)
        cadence = book.runs[run]["cadence"]
        blocked = sorted(self.blocked(run, since, until))
        free = 0
        day = local_day(since, lead["zone"]) - timedelta(days=1)
        while day <= local_day(until, lead["zone"]):
            noon = since if day < local_day(since, lead["zone"]) else \
                max(since, min(until, (day - DAY_ONE).days * DAY))
            spans = spans_of(day, book.janela_of(cadence, noon), lead["zone"],
                             book.holidays_of(lead, book.end))
            for first, last in spans:
                free += length_without(max(first, since), min(last, until), blocked)
            day += timedelta(days=1)
        return free

    def blocked(self, run, since, until):
        """Spans of time in which something else was in the way."""
        book = self.book
        lead = book.lead_of(run)
        cadence = book.runs[run]["cadence"]
        for down in book.downs:
            if down["company"] in (-1, lead["company"]):
                yield down["at"], down["until"] + RETRY_MOST * (down["company"] != -1) + HOUR
        yield from self.standing_still(run)
        for e in book.happened[run]:
            if e["what"] in ("failed", "again", "sent"):
                yield e["at"], e["at"] + RETRY_MOST
        versions = book.cadences[cadence]
        for at, version in zip(versions.times, versions.values):
            if not version["ativo"]:
                later = [t for t, v in zip(versions.times, versions.values) if t > at and v["ativo"]]
                yield at, (later[0] if later else book.end) + HOUR
        yield from self.policy_changes(cadence, lead["company"])
        gap = max(v["gap"] for v in book.companies[lead["company"]].values)
        for at in self.tries_of[book.runs[run]["lead"]]:
            yield at, at + gap
        yield from self.full_days(run, since, until)

    def standing_still(self, run):
        since = None
        for e in self.book.happened[run]:
            if e["what"] in ("stop", "pause", "done"):
                since = e["at"] if since is None else since
            elif e["what"] == "go on" and since is not None:
                yield since, e["at"] + HOUR
                since = None
        if since is not None:
            yield since, self.book.end

    def policy_changes(self, cadence, company):
        """What has waited for another policy's day."""
        for versions, names in ((self.book.cadences[cadence], ("janela", "max", "max_new")),
                                (self.book.companies[company], ("janela", "max", "max_of_person", "gap"))):
            for at, old, new in zip(versions.times[1:], versions.values, versions.values[1:]):
                if any(old[name] != new[name] for name in names):
                    yield at, at + POLICY_WAIT
        for at, _, _, _ in self.book.holidays:
            if at > self.book.begin:
                yield at, at + DAY

    def full_days(self, run, since, until):
        """Days of which some cap was used up."""
        book = self.book
        lead = book.lead_of(run)
        cadence = book.runs[run]["cadence"]
        zone = book.companies[lead["company"]].at(since)["zone"]
        for name, versions, field, its_zone in (
                (("person", book.runs[run]["lead"]), book.companies[lead["company"]], "max_of_person",
                 lead["zone"]),
                (("company", lead["company"]), book.companies[lead["company"]], "max", zone),
                (("cadence", cadence), book.cadences[cadence], "max", zone),
                (("new", cadence), book.cadences[cadence], "max_new", zone)):
            caps = [v[field] for v in versions.values if v[field]]
            for day, tried in self.tried[name].items() if caps else ():
                if tried >= min(caps):
                    first = (day - DAY_ONE).days * DAY
                    # of the whole day, wherever it begins
                    yield first - 14 * HOUR, first + DAY + 12 * HOUR


def length_without(first, last, blocked):
    """Of a span, what lies in none of some others, which are in order."""
    length = 0
    for begin, end in blocked:
        if begin >= last:
            break
        if begin > first:
            length += begin - first
        first = max(first, end)
    return length + max(last - first, 0)


def totals(book):
    """What the book is about, in lines of name and number."""
    zones = Counter(book.lead_of(e["run"])["zone"] for e in book.sent)
    happened = Counter((e["what"], e.get("why", "")) for events in book.happened.values() for e in events)
    yield "people", len(book.leads)
    yield "runs", len(book.runs)
    yield "messages", len(book.sent)
    yield "zones with messages", len(zones)
    yield "attempts that failed", sum(n for (what, _), n in happened.items() if what == "failed")
    yield "messages given back just before they left", happened["unsent", ""]
    yield "opt-outs", sum(a["what"] == "opt-out" for acts in book.of_lead.values() for a in acts)
    yield "replies", sum(a["what"] == "reply" for acts in book.of_lead.values() for a in acts)
    yield "edits of steps", sum(t > book.begin for edits in book.edits.values() for t in edits)
    yield "edits of policies", sum(len(v.times) - 1 for v in book.companies.values())
    yield "outages of providers", sum(d["company"] != -1 for d in book.downs)
    yield "outages of the server", sum(d["company"] == -1 for d in book.downs)
    for (what, why), n in sorted(happened.items()):
        if what == "skip":
            yield "steps skipped: %s" % why, n
        elif what == "stop":
            yield "runs stopped: %s" % why, n
    for why, n in sorted(book.waits.items()):
        yield "waits: %s" % why, n


def describe(entry):
    return "%s UTC, run %s, step %s" % (aware(entry["at"]), entry["run"], entry.get("step", "-"))


def report(checker, say=print):
    """The table; how many kinds are as they must be, and how many are not."""
    for name, n in totals(checker.book):
        say("  %-60s %9d" % (name, n))
    failed = 0
    for kind, words in KINDS.items():
        cases = checker.cases[kind]
        failed += bool(cases)
        say("%s %-58s %7d" % ("FAILED  " if cases else "ok      ", words, len(cases)))
        for entry, more in cases[:CASES_SHOWN]:
            say("          %s%s" % (describe(entry), ": " + more if more else ""))
    # what counts nothing since nothing has happened proves nothing
    if not checker.book.sent:
        say("FAILED  no message was sent at all")
        failed += 1
    return len(KINDS) - failed, failed


def check_book(path):
    """The checker of a book, which has counted."""
    with open(path, encoding="utf-8") as lines:
        checker = Checker(Ledger(lines))
    checker.check()
    return checker


def main():
    checker = check_book(sys.argv[1])
    passed, failed = report(checker)
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
