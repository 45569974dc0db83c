"""The books of a soak: what the provider received against what the database says of each run.

A run is the dictionary that RUNS yields as one line of JSON; its requests come from the provider's
journal. problems() compares the two and says in words what does not balance.
"""

import json
import uuid
from collections import Counter, defaultdict, namedtuple

Request = namedtuple("Request", "t run ordem key behaviour")

# Every run with its events, in order, and the steps of its message rows.
RUNS = """
SELECT json_build_object(
    'id', r.id, 'empresa', r.empresa, 'status', r.status, 'claim', r.claim_id,
    'now', extract(epoch FROM now()), 'due', extract(epoch FROM r.next_run_at),
    'steps', (SELECT json_agg(s.ordem) FROM cadence_steps s WHERE s.cadence_id = r.cadence_id),
    'hold', r.empresa LIKE 'HOLD%',
    'messages', coalesce(m.steps, '[]'),
    'events', coalesce((
        SELECT json_agg(json_build_object('t', extract(epoch FROM e.created_at),
                   'ordem', e.step_ordem, 'tipo', e.tipo_evento, 'detalhes', e.detalhes)
                   ORDER BY e.created_at, e.id)
        FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id), '[]'))
FROM lead_cadence_runs r
LEFT JOIN (SELECT run_id, json_agg(step_ordem) AS steps FROM lead_messages WHERE estado = 'ENVIADO' GROUP BY run_id) m
    ON m.run_id = r.id
"""

# Behaviours of the provider after which a step may count as sent.
MAY_SUCCEED = ("ok", "slow", "closeafter", "garbage")

# The provider may read a request late that its sender has already given up.
CLOCK_SLACK = 1.0


def read_journal(path):
    """The provider's requests, by run, in the order in which they came."""
    requests = defaultdict(list)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            body = entry["body"]
            requests[body["runId"]].append(
                Request(entry["t"], body["runId"], body["stepOrdem"],
                        entry["headers"].get("idempotency-key"), entry["behaviour"]))
    return requests


def step_key(run_id, ordem):
    """The one key of all attempts of a step."""
    return str(uuid.uuid5(uuid.UUID(run_id), str(ordem)))


def code(event):
    """The event's reason, if it has one."""
    return event["detalhes"].get("codigo")


def is_late(event):
    """The event's attempt had lost its claim: it changed nothing."""
    return event["detalhes"].get("tardio", False)


def attempts(run, ordem):
    """The events that each stand for one attempt to send a step."""
    return [e for e in run["events"]
            if e["ordem"] == ordem and not is_late(e)
            and (e["tipo"] == "DISPARADO"
                 or e["tipo"] == "ERRO" and e["detalhes"].get("chave") == step_key(run["id"], ordem))]


def duplicates(run, requests, ordem):
    """(request, the ended attempt that allows it or None) for each but a step's first request.

    An attempt that failed allows one more; one that ended uncertain does so where the provider
    does not hold. Each attempt allows one request.
    """
    allowing = ("FALHA_ENVIO",) if run["hold"] else ("FALHA_ENVIO", "INCERTO")
    ended = [e for e in attempts(run, ordem) if code(e) in allowing]
    sent = [r for r in requests if r.ordem == ordem]
    found = []
    for before, request in zip(sent, sent[1:]):
        between = [e for e in ended if before.t - CLOCK_SLACK < e["t"] < request.t]
        found.append((request, between[0] if between else None))
        if between:
            ended.remove(between[0])
    return found


def problems(run, requests):
    """Everything that does not balance in one run, in words."""
    return (request_problems(run, requests) + state_problems(run)
            + (done_problems(run, requests) if run["status"] == "CONCLUIDA" else [])
            + message_problems(run))


def request_problems(run, requests):
    """Requests of no step, with another key, without a reason, or that no event accounts for."""
    found = []
    for request in requests:
        if request.ordem not in run["steps"]:
            found.append("a request for step %s, which does not exist" % request.ordem)
        elif request.key != step_key(run["id"], request.ordem):
            found.append("step %d was sent with key %s" % (request.ordem, request.key))
    for ordem in run["steps"]:
        for request, reason in duplicates(run, requests, ordem):
            if reason is None:
                found.append("step %d was sent again at %.3f without a failed%s attempt before it"
                             % (ordem, request.t, "" if run["hold"] else " or uncertain"))
        sent = sum(r.ordem == ordem for r in requests)
        recorded = len(attempts(run, ordem))
        if sent > recorded:
            found.append("step %d was sent %d times, and %d attempts are on record"
                         % (ordem, sent, recorded))
    return found


def state_problems(run):
    """A run that is lost: claimed, or paused or waiting without an event that says why."""
    found = []
    last = run["events"][-1] if run["events"] else None
    if run["claim"]:
        found.append("its claim %s is left over" % run["claim"])
    if run["status"] == "PAUSADA":
        if not any(e["detalhes"].get("permanente") for e in run["events"]):
            found.append("it is paused, and no event says why")
    elif run["status"] == "ATIVA":
        explained = last and ("proxima_tentativa" in last["detalhes"]
                              or last["tipo"] == "AGENDADO")
        if run["due"] is None or run["due"] <= run["now"]:
            found.append("it is due, and nobody has sent it")
        elif not explained:
            found.append("it waits, and its last event does not say why")
    elif run["status"] != "CONCLUIDA":
        found.append("its status is %s" % run["status"])
    return found


def settled_late(run, ordem):
    """Whether the answer of an attempt that was held as uncertain came after all, and settled it."""
    of_step = [e for e in run["events"] if e["ordem"] == ordem]
    return run["hold"] and any(
        is_late(e) and e["tipo"] == "DISPARADO" and any(code(b) == "INCERTO" for b in of_step[:n])
        for n, e in enumerate(of_step))


def done_problems(run, requests):
    """A finished run without one sent event, or without a request that can have succeeded."""
    found = []
    for ordem in run["steps"]:
        sent = sum(e["tipo"] == "DISPARADO" for e in attempts(run, ordem))
        if sent == 0 and settled_late(run, ordem):
            sent = 1
        if sent != 1:
            found.append("step %d has %d events DISPARADO" % (ordem, sent))
        if not any(r.ordem == ordem and r.behaviour in MAY_SUCCEED for r in requests):
            found.append("step %d was never accepted by the provider" % ordem)
    return found


def message_problems(run):
    """Not one message row for each event that says sent; a late one was received, too."""
    sent = Counter(e["ordem"] for e in run["events"]
                   if e["tipo"] == "DISPARADO" and "registro" not in e["detalhes"])
    rows = Counter(run["messages"])
    return ["step %d has %d message rows for %d events DISPARADO" % (n, rows[n], sent[n])
            for n in sorted(sent.keys() | rows.keys()) if rows[n] != sent[n]]


def describe(run, requests):
    """The run, its events and its requests, by time."""
    lines = [(e["t"], "event    step %s %s %s" % (e["ordem"], e["tipo"], json.dumps(e["detalhes"])))
             for e in run["events"]]
    lines += [(r.t, "request  step %s %s key %s" % (r.ordem, r.behaviour, r.key))
              for r in requests]
    head = "run %s of %s: %s, due %s, claim %s" % (
        run["id"], run["empresa"], run["status"], run["due"], run["claim"])
    return "\n".join([head] + ["  %.3f  %s" % line for line in sorted(lines)])


class Books:
    """Sums over all runs, and what does not balance."""

    def __init__(self, requests):
        self.requests = requests
        self.sums = Counter()
        self.imbalances = []

    def add(self, run):
        """Checks one run and forgets its requests."""
        requests = self.requests.pop(run["id"], [])
        self.count(run, requests)
        found = problems(run, requests)
        if found:
            self.imbalances.append("; ".join(found) + "\n" + describe(run, requests))

    def count(self, run, requests):
        """Adds one run to the sums."""
        self.sums["enrolled"] += 1
        self.sums["requests"] += len(requests)
        self.sums[run["status"]] += 1
        self.sums["sent"] += sum(e["tipo"] == "DISPARADO" for e in run["events"])
        self.sums["late"] += sum(is_late(e) for e in run["events"])
        self.sums["interrupted"] += sum("interrupted" in e["detalhes"].get("erro", "")
                                        for e in run["events"])
        if run["status"] == "PAUSADA":
            reasons = [code(e) for e in run["events"] if e["detalhes"].get("permanente")]
            self.sums["held" if "INCERTO" in reasons else "refused"] += 1
        for ordem in run["steps"]:
            for _, reason in duplicates(run, requests, ordem):
                self.sums["again: " + (code(reason) if reason else "no reason")] += 1

    def close(self):
        """What is left in the journal belongs to no run."""
        for run_id, requests in self.requests.items():
            self.imbalances.append("run %s does not exist, and was sent %d times"
                                   % (run_id, len(requests)))
