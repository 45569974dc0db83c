#!/usr/bin/env python3
"""Enrols leads at a steady rate and says how long after its time each message arrived.

A step is due at the server's clock_timestamp() inside the inserting transaction, so the commit of
the enrolment, with its flush, is part of the delay. The provider notes when it has read a request;
both clocks are this machine's.
"""

import argparse
import json
import subprocess
import time

ENROL = """
BEGIN;
INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
VALUES ('{lead}', 'ACME', 'Maria de Souza', '+5511900000000');
INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at, started_at)
SELECT '{lead}', 'ACME', id, 1, t, t FROM cadences, clock_timestamp() AS t;
COMMIT;
"""


def enrol(rate, count, prefix):
    """Feeds one psql session, each enrolment at its own time whatever the last one took."""
    psql = subprocess.Popen(["psql", "-XqAt", "-d", "postgres"], stdin=subprocess.PIPE, text=True)
    start = time.monotonic()
    for number in range(count):
        time.sleep(max(0, start + number / rate - time.monotonic()))
        psql.stdin.write(ENROL.format(lead="%s%d" % (prefix, number)))
        psql.stdin.flush()
    psql.stdin.close()
    if psql.wait() != 0:
        raise SystemExit("the enrolments failed")


def query(sql):
    """The rows of a query, as lists of text."""
    output = subprocess.run(["psql", "-XqAt", "-F", " ", "-d", "postgres", "-c", sql], check=True,
                            capture_output=True, text=True).stdout
    return [line.split(" ") for line in output.splitlines()]


def wait_until_sent(prefix):
    """Until nothing of these leads is left to send; pg_cron takes up to a minute."""
    deadline = time.monotonic() + 150
    pending = ("SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND lead_id LIKE '%s%%'"
               % prefix)
    while query(pending) != [["0"]]:
        if time.monotonic() > deadline:
            raise SystemExit("not everything was sent")
        time.sleep(0.2)


def delays(prefix, journal):
    """In milliseconds, sorted."""
    due = {lead: float(at) for lead, at in query(
        "SELECT lead_id, extract(epoch FROM started_at) FROM lead_cadence_runs "
        "WHERE lead_id LIKE '%s%%'" % prefix)}
    arrived = {}
    with open(journal, encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            lead = entry["body"]["leadId"]
            if lead in arrived:
                raise SystemExit("%s was sent twice" % lead)
            arrived[lead] = entry["t"]
    return sorted((arrived[lead] - at) * 1000 for lead, at in due.items())


def main():
    """Prints one line of quantiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, required=True, help="enrolments per second")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--journal", required=True)
    options = parser.parse_args()
    prefix = "lead-%d-" % time.time()

    enrol(options.rate, options.count, prefix)
    wait_until_sent(prefix)
    found = delays(prefix, options.journal)
    quantile = lambda q: found[min(int(q * len(found)), len(found) - 1)]
    print("  %d leads: p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, longest %.1f ms"
          % (len(found), quantile(0.5), quantile(0.95), quantile(0.99), found[-1]))


if __name__ == "__main__":
    main()
