#!/usr/bin/env python3
"""A soak of cadence_runner: everything that may go wrong does, and then the books must balance.

For some minutes, runs are enrolled, many callers execute, the provider misbehaves at random, and
the server or one of its workers is killed again and again. Then the provider becomes calm,
everything runs dry, and each run is compared with what the provider has received (books.py).

Needs PostgreSQL's programs first in PATH, with the extension installed; test/soak/run.sh brings
them. Everything is made in --directory, and stopped again in the end. The exit status is 1 when
anything does not balance. Standard library only.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter

from books import RUNS, Books, read_journal

HERE = os.path.dirname(os.path.abspath(__file__))

SETTINGS = """
listen_addresses = ''
max_connections = 200
max_worker_processes = 80
log_min_messages = warning
log_line_prefix = '%m [%p] %b %e '
cadence_runner.retry_dispatch = '1s'
cadence_runner.retry_unresolved = '1s'
cadence_runner.request_timeout = '2s'
cadence_runner.connect_timeout = '1s'
cadence_runner.max_attempts = 0
cadence_runner.batch_size = 20
cadence_runner.lease = '10s'
"""
RESIDENT_SETTINGS = """
shared_preload_libraries = 'cadence_runner'
cadence_runner.databases = 'postgres'
"""

# Two requests and two margins are the shortest lease that there is.
LONGEST_LEASE_S = 2 * 2 + 2 * 10

COMPANIES = {"RETRY-A": "retry", "RETRY-B": "retry", "HOLD-A": "hold", "HOLD-B": "hold"}
STEPS_MAX = 3

# What a worker's own memory may come to, as in bench/.
MEMORY_LIMIT_KB = 100 * 1024

# Interrupted attempts are classified so soon after the server accepts connections again.
CLASSIFIED_WITHIN_S = 10

# SQLSTATEs that a caller or a worker may see: no worker slot, lock time-out behind a frozen
# worker, stopped while it connects, stopped, server crashed, server starts up.
EXPECTED_ERRORS = {"53400", "55P03", "57014", "57P01", "57P02", "57P03"}

WORKERS = "backend_type LIKE 'cadence_runner%'"
RESIDENT = "backend_type = 'cadence_runner resident'"


class Down(Exception):
    """The server did not do what psql asked of it."""


def say(text):
    """A line of progress or of the result."""
    print(text, flush=True)


class Cluster:
    """The server, and SQL through psql."""

    def __init__(self, directory, resident):
        self.data = os.path.join(directory, "data")
        self.log = os.path.join(directory, "server.log")
        self.socket = os.path.join(directory, "socket")
        self.resident = resident
        self.postmaster = None

    def create(self):
        """A new cluster, started."""
        os.mkdir(self.socket)
        subprocess.run(["initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                        "--locale=C"], check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as conf:
            conf.write(SETTINGS + "unix_socket_directories = '%s'\n" % self.socket)
            conf.write(RESIDENT_SETTINGS if self.resident else "")
        self.start()
        wait_for(self.accepts, 30)

    def start(self):
        """The postmaster, a child of ours so that a dead one does not linger as a zombie."""
        with open(self.log, "ab") as log:
            self.postmaster = subprocess.Popen(["postgres", "-D", self.data], stdout=log,
                                               stderr=log, stdin=subprocess.DEVNULL,
                                               start_new_session=True)

    def is_running(self):
        """Whether there is a postmaster; one that finds a killed one's children ends at once."""
        return self.postmaster.poll() is None

    def accepts(self, since=0):
        """Whether a server whose processes started after a time accepts connections."""
        with contextlib.suppress(Down):
            return self.sql(
                "SELECT backend_start > to_timestamp(%f) FROM pg_stat_activity"
                " WHERE backend_type = 'checkpointer'" % since, timeout=10) == "t"
        return False

    def last_words(self, lines=40):
        """The end of the server's log."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def end(self, number):
        """Ends the postmaster with a signal."""
        self.postmaster.send_signal(number)
        self.postmaster.wait()

    def psql(self, *arguments):
        """The command line of psql on this cluster."""
        return ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=sqlstate",
                "-h", self.socket, "-U", "postgres", "-d", "postgres", *arguments]

    def sql(self, text, timeout=60):
        """What psql prints for statements; raises Down when they fail."""
        try:
            done = subprocess.run(self.psql("-c", text), capture_output=True, text=True,
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired as problem:
            raise Down("no answer in %d s" % timeout) from problem
        if done.returncode != 0:
            raise Down(done.stderr.strip())
        return done.stdout.strip()

    def rows(self, query):
        """Each row of a query that yields JSON, one after the other."""
        with subprocess.Popen(self.psql("-v", "FETCH_COUNT=1000", "-c", query),
                              stdout=subprocess.PIPE, text=True) as psql:
            for line in psql.stdout:
                yield json.loads(line)
        if psql.returncode != 0:
            raise Down("the query failed: " + query)

    def workers(self, which=WORKERS):
        """Process ids of the extension's workers."""
        return [int(n) for n in self.sql("SELECT pid FROM pg_stat_activity WHERE " + which).split()]

    def complaints(self):
        """Lines of the log that no kill of ours explains."""
        crash = re.compile(r"PANIC:|TRAP:|terminated by signal (?!9:)|corrupt")
        error = re.compile(r"\] cadence_runner[a-z ]* ([0-9A-Z]{5}) (?:ERROR|FATAL):")
        found = []
        with open(self.log, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                state = error.search(line)
                if crash.search(line) or state and state.group(1) not in EXPECTED_ERRORS:
                    found.append("the server's log says: " + line.rstrip())
        return found


class Provider:
    """test/provider as a process."""

    def __init__(self, directory, seed):
        self.journal = os.path.join(directory, "journal")
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "..", "provider"), "--no-journal",
             "--journal", self.journal, "--seed", seed],
            stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def calm(self):
        """From now on every message is accepted."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("POST", "/__calm")
        if connection.getresponse().status != 200:
            raise SystemExit("the provider does not become calm")
        connection.close()

    def stop(self):
        """Ends the process."""
        self.process.terminate()
        self.process.wait()


def prepare_database(cluster, port):
    """The extension, and for each company a server and cadences of one, two and three steps."""
    statements = ["SET client_min_messages = warning", "CREATE EXTENSION cadence_runner",
                  "SELECT cadence_create_tables()"]
    for n, (company, on_uncertain) in enumerate(COMPANIES.items()):
        channel = "EMAIL" if n % 2 else "WHATSAPP"
        statements.append(
            "CREATE SERVER \"%s\" FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal '%s',"
            " empresa '%s', url 'http://127.0.0.1:%d/chaos', on_uncertain '%s', breaker_after '0')"
            % (company, channel, company, port, on_uncertain))
        statements.append(
            "INSERT INTO message_templates (empresa, canal, codigo, conteudo)"
            " VALUES ('%s', '%s', 'HELLO', 'Olá {{primeiro_nome}}')" % (company, channel))
        for steps in range(1, STEPS_MAX + 1):
            statements.append(
                "WITH c AS (INSERT INTO cadences (empresa, codigo, nome)"
                " VALUES ('%s', '%s/%d', 'soak') RETURNING id)"
                " INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo)"
                " SELECT c.id, n, '%s', 'HELLO' FROM c, generate_series(1, %d) AS n"
                % (company, company, steps, channel, steps))
    cluster.sql("; ".join(statements))


class Enroller(threading.Thread):
    """Enrols a batch of leads each second, every other time with plain inserts."""

    def __init__(self, cluster, rate):
        super().__init__()
        self.cluster = cluster
        self.rate = rate
        self.stopped = threading.Event()
        self.committed = []             # numbers of the batches that the server has confirmed
        self.batch = 0

    def run(self):
        while not self.stopped.wait(1):
            self.batch += 1
            with contextlib.suppress(Down):
                self.cluster.sql(self.statements())
                self.committed.append(self.batch)

    def statements(self):
        """One transaction; each lead goes to a cadence of its own turn."""
        leads = (
            "INSERT INTO lead_contacts (lead_id, empresa, nome, email, telefone)"
            " SELECT '%d-' || n, c.empresa, 'Maria ' || n, n || '@example.com', '+55' || n"
            " FROM generate_series(1, %d) AS n, %s AS c" % (self.batch, self.rate, self.turn()))
        enrol = (
            "SELECT cadence_enroll('%d-' || n, c.codigo)" if self.batch % 2 else
            "INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem,"
            " next_run_at) SELECT '%d-' || n, c.empresa, c.id, 1, now()")
        return leads + "; " + (enrol + " FROM generate_series(1, %d) AS n, %s AS c") % (
            self.batch, self.rate, self.turn())

    def turn(self):
        """The cadence of lead n."""
        return ("LATERAL (SELECT * FROM cadences ORDER BY codigo OFFSET n %% %d LIMIT 1)"
                % (len(COMPANIES) * STEPS_MAX))

    def lost(self):
        """Batches that were confirmed and are not there."""
        there = {int(n): int(runs) for n, runs in (row.split("|") for row in self.cluster.sql(
            "SELECT split_part(lead_id, '-', 1), count(*) FROM lead_cadence_runs GROUP BY 1")
            .split())}
        return ["batch %d of enrolments was confirmed, and %d of its %d runs are there"
                % (n, there.get(n, 0), self.rate) for n in self.committed
                if there.get(n, 0) != self.rate]


class Caller(threading.Thread):
    """Executes again and again, in a session that is opened anew whenever it ends."""

    def __init__(self, cluster, errors):
        super().__init__()
        self.cluster = cluster
        self.errors = errors
        self.stopped = threading.Event()
        self.process = None

    def run(self):
        while not self.stopped.is_set():
            self.process = subprocess.Popen(
                self.cluster.psql(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, start_new_session=True)
            if self.stopped.is_set():
                self.process.terminate()
            said = self.process.communicate("SELECT cadence_run('TEST') \\watch 1\n")[1]
            states = re.findall(r"^(?:.*: )?(?:ERROR|FATAL|PANIC): +([0-9A-Z]{5})$", said, re.M)
            if not self.stopped.is_set():
                self.errors[states[0] if states else "no connection"] += 1
            self.stopped.wait(0.5)

    def stop(self):
        """Ends the loop; an execution that is under way is ended by its server process."""
        self.stopped.set()
        if self.process:
            self.process.terminate()


class Sampler(threading.Thread):
    """Watches the resident worker's memory: private and mapped files, without shared buffers."""

    def __init__(self, cluster, every):
        super().__init__()
        self.cluster = cluster
        self.every = every
        self.stopped = threading.Event()
        self.lives = {}                 # process id: samples in kB

    def run(self):
        while not self.stopped.wait(self.every):
            with contextlib.suppress(Down, FileNotFoundError, ProcessLookupError):
                for pid in self.cluster.workers(RESIDENT):
                    self.lives.setdefault(pid, []).append(memory_kb(pid))


def memory_kb(pid):
    """What a process has resident, apart from shared memory."""
    with open("/proc/%d/status" % pid, encoding="utf-8") as lines:
        return sum(int(line.split()[1]) for line in lines
                   if line.startswith(("RssAnon:", "RssFile:")))


def hold(pid):
    """Stops a process. One that has ended may be signalled until its parent has looked, without any
    effect: no restart would follow its SIGKILL."""
    os.kill(pid, signal.SIGSTOP)
    if not wait_for(lambda: state(pid) in "TZX", 10, every=0.001) or state(pid) != "T":
        raise ProcessLookupError


def state(pid):
    """The state of a process: T is stopped, Z has ended, X is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as line:
            return line.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


class Killer:
    """Does something to the server each time it is asked, and brings it back."""

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.random = random.Random(seed)
        self.kills = Counter()
        self.accepting = []             # seconds from each kill until connections are accepted
        self.classified = []            # and from there until no older claim is left
        self.refused = 0                # starts that found processes of the killed server

    def kill(self):
        """One of the kinds at random; every tenth time a worker is frozen."""
        choices = {self.kill_postmaster: 50, self.stop_immediately: 10, self.kill_worker: 25,
                   self.terminate_worker: 15}
        what = self.random.choices(list(choices), choices.values())[0]
        if sum(self.kills.values()) % 10 == 9:
            what = self.freeze_worker
        try:
            what()
        except (Down, ProcessLookupError):      # its victim had ended by itself
            self.kill_postmaster()

    def kill_postmaster(self):
        """SIGKILL: its children notice by themselves."""
        since = time.time()
        self.cluster.end(signal.SIGKILL)
        self.recover("postmaster killed", since)

    def stop_immediately(self):
        """As pg_ctl stop -m immediate: every process ends without a word."""
        since = time.time()
        self.cluster.end(signal.SIGQUIT)
        self.recover("immediate stop", since)

    def kill_worker(self):
        """SIGKILL: the postmaster restarts everything."""
        since = time.time()
        pid = self.victim()
        hold(pid)
        os.kill(pid, signal.SIGKILL)
        self.recover("worker killed", since)

    def terminate_worker(self):
        """SIGTERM, as pg_terminate_backend() sends it."""
        os.kill(self.victim(), signal.SIGTERM)
        self.kills["worker terminated"] += 1

    def freeze_worker(self):
        """SIGSTOP until every lease of the worker has ended, then SIGCONT."""
        pid = self.victim()
        os.kill(pid, signal.SIGSTOP)
        try:
            pass_time(LONGEST_LEASE_S + 2)  # no state to ask for: it may hold a lock that SQL needs
        finally:
            os.kill(pid, signal.SIGCONT)
        self.kills["worker frozen past its lease"] += 1

    def victim(self):
        """One of the workers that are there, waited for a while."""
        workers = wait_for(self.cluster.workers, 2)
        if not workers:
            raise ProcessLookupError
        return self.random.choice(workers)

    def recover(self, kind, since):
        """Counts a kill, and waits until a server that started after it accepts connections."""
        starts = 0

        def is_back():
            nonlocal starts
            if self.cluster.accepts(since):
                return True
            if not self.cluster.is_running():
                self.cluster.start()
                starts += 1
            return False

        if not wait_for(is_back, 60, every=0.02):
            raise SystemExit("%s: no connection after 60 s; the server's last words:\n%s"
                             % (kind, self.cluster.last_words()))
        self.refused += max(starts - 1, 0)
        self.kills[kind] += 1
        self.accepting.append(time.time() - since)
        if self.cluster.resident:
            self.wait_classified(since)

    def wait_classified(self, since):
        """Until the resident worker has dealt with every claim from before the kill."""
        start = time.time()
        wait_for(lambda: self.cluster.sql(
            "SELECT 1 FROM lead_cadence_runs WHERE claim_id IS NOT NULL AND status = 'ATIVA'"
            " AND updated_at < to_timestamp(%f) LIMIT 1" % since) == "", 2 * CLASSIFIED_WITHIN_S, every=0.1)
        self.classified.append(time.time() - start)


class Soak:
    """One soak, from the empty directory to the figures."""

    def __init__(self, options):
        self.options = options
        self.resident = not options.no_resident
        self.cluster = Cluster(options.directory, self.resident)
        self.errors = Counter()
        self.callers = [Caller(self.cluster, self.errors) for _ in range(options.callers)]
        self.enroller = Enroller(self.cluster, options.rate)
        self.sampler = Sampler(self.cluster, options.sample_every)
        self.killer = Killer(self.cluster, options.seed)
        self.provider = None
        self.started = self.loaded = None

    def run(self):
        """The whole of it; what does not balance, in words."""
        os.makedirs(self.options.directory, exist_ok=True)
        self.provider = Provider(self.options.directory, self.options.seed)
        self.cluster.create()
        prepare_database(self.cluster, self.provider.port)
        self.started = time.time()
        for thread in [self.enroller, self.sampler] + self.callers:
            thread.start()
        self.load()
        self.run_dry()
        return self.balance()

    def load(self):
        """Kills until the time is over."""
        until = self.started + self.options.minutes * 60
        while time.time() + self.options.kill_every < until:
            pass_time(self.options.kill_every)
            self.killer.kill()
            say("%5d s  %s" % (time.time() - self.started, totals(self.killer.kills)))
        pass_time(max(0, until - time.time()))
        self.loaded = time.time() - self.started

    def run_dry(self):
        """No more enrolments, kills and chaos; waits until no run is active any more."""
        self.provider.calm()
        stop_threads([self.enroller])
        if self.resident:               # which has to manage by itself
            self.stop_callers()
        wait_for(lambda: self.cluster.sql(
            "SELECT 1 FROM lead_cadence_runs WHERE status = 'ATIVA' LIMIT 1") == "", 120)
        self.stop_callers()
        wait_for(lambda: not self.cluster.workers("backend_type = 'cadence_runner'"), 30)

    def stop_callers(self):
        """Each ends after what it is doing."""
        for caller in self.callers:
            caller.stop()
        stop_threads(self.callers)

    def balance(self):
        """Prints the figures; returns the imbalances."""
        stop_threads([self.sampler])
        books = Books(read_journal(self.provider.journal))
        for run in self.cluster.rows(RUNS):
            books.add(run)
        books.close()
        self.figures(books.sums)
        return (books.imbalances + self.enroller.lost() + self.cluster.complaints()
                + self.unexpected())

    def unexpected(self):
        """Errors that callers should not see, slow classification, and memory that grows."""
        found = ["callers met SQLSTATE %s %d times" % (state, n) for state, n in self.errors.items()
                 if state not in EXPECTED_ERRORS | {"no connection"}]
        found += ["interrupted attempts were not classified %d s after the server was back" % s
                  for s in self.killer.classified if s > CLASSIFIED_WITHIN_S]
        found += ["resident worker %d took %d kB" % (pid, max(kb))
                  for pid, kb in self.sampler.lives.items() if max(kb) > MEMORY_LIMIT_KB]
        if self.resident and not self.sampler.lives:
            found.append("there was no resident worker")
        return found

    def figures(self, sums):
        """What the soak did, to be pasted into a document."""
        killer = self.killer
        again = {name[len("again: "):]: n for name, n in sums.items() if name.startswith("again: ")}
        for name, value in (
                ("load", "%.1f minutes, %d callers, seed %s, %s"
                 % (self.loaded / 60, len(self.callers), self.options.seed,
                    "resident worker" if self.resident else "no resident worker")),
                ("kills", "%d (%s)" % (sum(killer.kills.values()), totals(killer.kills))),
                ("accepting again", spread(killer.accepting) +
                 ", %d starts refused for processes left over" % killer.refused),
                ("classified", spread(killer.classified)),
                ("runs enrolled", "%d" % sums["enrolled"]),
                ("runs done", "%d" % sums["CONCLUIDA"]),
                ("runs held", "%d uncertain" % sums["held"]),
                ("runs refused", "%d" % sums["refused"]),
                ("messages sent", "%d, %.1f/s" % (sums["sent"], sums["sent"] / self.loaded)),
                ("requests", "%d, %.1f/s"
                 % (sums["requests"], sums["requests"] / self.loaded)),
                ("sent again after", totals(again)),
                ("interrupted", "%d attempts" % sums["interrupted"]),
                ("late answers", "%d" % sums["late"]),
                ("callers' errors", totals(self.errors)),
                ("resident's memory", lives(self.sampler.lives))):
            say("%-18s %s" % (name, value))

    def stop(self):
        """Ends whatever still runs."""
        for thread in [self.enroller, self.sampler]:
            thread.stopped.set()
        for caller in self.callers:
            caller.stop()
        if self.cluster.postmaster:
            self.cluster.end(signal.SIGQUIT)
        if self.provider:
            self.provider.stop()


def stop_threads(threads):
    """Asks for their end and waits for it."""
    for thread in threads:
        thread.stopped.set()
    for thread in threads:
        thread.join()


def pass_time(seconds):
    """The pace of the faults: a time, and no state that could be asked for."""
    time.sleep(seconds)


def wait_for(condition, seconds, every=0.2):
    """Polls until it is true, or the time is over; returns what it was in the end."""
    until = time.time() + seconds
    while True:
        value = condition()
        if value or time.time() >= until:
            return value
        time.sleep(every)


def totals(counts):
    """Counts in words."""
    return ", ".join("%d %s" % (n, name) for name, n in sorted(counts.items())) or "none"


def spread(seconds):
    """Median and maximum of durations."""
    if not seconds:
        return "never measured"
    return "after %.1f s (median), %.1f s (longest)" % (statistics.median(seconds), max(seconds))


def lives(samples):
    """First, last and highest sample of each life, in MB."""
    if not samples:
        return "never measured"
    return "; ".join("%.1f/%.1f/%.1f" % (kb[0] / 1024, kb[-1] / 1024, max(kb) / 1024)
                     for kb in samples.values()) + " MB (first/last/max of each life)"


def parse_options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--directory", required=True, help="where cluster and journal are made")
    parser.add_argument("--minutes", type=float, default=5, help="how long there are kills")
    parser.add_argument("--seed", default="1", help="repeats what is chosen at random")
    parser.add_argument("--callers", type=int, default=50, help="sessions that execute")
    parser.add_argument("--rate", type=int, default=30, help="runs enrolled each second")
    parser.add_argument("--kill-every", type=float, default=20, metavar="SECONDS")
    parser.add_argument("--sample-every", type=float, default=10, metavar="SECONDS")
    parser.add_argument("--no-resident", action="store_true", help="callers execute alone")
    return parser.parse_args()


def main():
    """Runs a soak and says how it went; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    soak = Soak(parse_options())
    try:
        imbalances = soak.run()
    finally:
        soak.stop()
    for imbalance in imbalances:
        say("\nIMBALANCE: " + imbalance)
    say("\nbooks balanced" if not imbalances else "\n%d imbalances" % len(imbalances))
    return 1 if imbalances else 0


if __name__ == "__main__":
    sys.exit(main())
