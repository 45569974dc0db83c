"""Some days of sales cadences on a real server, under a clock that jumps from one thing to the next.

The server and the provider have test/clock.c before libc, so both show the same time. Whenever
nothing is due and nothing is under way, the clock is set to when something is: days pass in seconds,
and whatever takes its time has it. What the provider has received, by its own clock, and what was done
to the tables, when it was committed, become a book as simulate.c writes it, for the same checker.
"""

import json
import os
import random
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
EPOCH_2000 = 946684800
MINUTE, HOUR, DAY = 60, 3600, 86400

# A Thursday; on the Sunday after it clocks are changed in America.
BEGINS = 1772712000

# Nothing takes longer, however slow the machine.
QUIET_WITHIN_S = 120

SETTINGS = """
fsync = off
listen_addresses = ''
max_worker_processes = 32
log_min_messages = warning
timezone = UTC
shared_preload_libraries = 'cadence_runner'
cadence_runner.databases = 'postgres'
cadence_runner.request_timeout = '10s'
"""

ZONES = ("America/Sao_Paulo", "America/Manaus", "America/New_York", "America/Los_Angeles", "America/St_Johns",
         "America/Havana", "Europe/London", "Europe/Berlin", "Africa/Cairo", "Asia/Kolkata", "Asia/Tokyo",
         "Australia/Lord_Howe", "Pacific/Chatham")

WORKDAYS = [{"dias": [1, 2, 3, 4, 5], "das": "08:00", "ate": "18:00"}, {"dias": [6], "das": "09:00", "ate": "13:00"}]
EVENINGS = [{"das": "18:00", "ate": "02:00"}]
NIGHTS = [{"das": "00:00", "ate": "03:00"}, {"das": "22:00", "ate": "24:00"}]

COMPANIES = {
    "RETRY": {"zone": "America/Sao_Paulo", "janela": WORKDAYS, "max_of_person": 2, "max": 0, "gap": 3 * HOUR,
              "outage": "status/503"},
    "HOLD": {"zone": "America/New_York", "janela": None, "max_of_person": 0, "max": 9, "gap": 0, "outage": "reset"},
    "BUSY": {"zone": "Europe/Berlin", "janela": None, "max_of_person": 3, "max": 0, "gap": 30 * MINUTE,
             "outage": "status/500"},
}
CADENCES = {"RETRY/A": (None, 0, 0), "RETRY/B": (NIGHTS, 0, 0), "HOLD/A": (EVENINGS, 0, 0), "HOLD/B": (WORKDAYS, 4, 0),
            "BUSY/A": (None, 8, 3), "BUSY/B": (WORKDAYS, 0, 2)}

# How often a day.
OFTEN = {"enroll": 8, "reply": 3, "opt_out": 1, "exit": 1, "skip": 1, "pause": 2, "cancel": 0.7, "edit_text": 2,
         "append_step": 1, "edit_step": 3, "holiday": 0.4, "outage": 1.5, "resume": 3, "window": 0.5, "switch": 0.7}


class Psql:
    """A session that stays."""

    def __init__(self, socket):
        self.process = subprocess.Popen(["psql", "-XAtq", "-h", socket, "-U", "postgres", "-d", "postgres"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)

    def ask(self, statement):
        """The lines that a statement yields; an error is raised."""
        self.process.stdin.write(statement + ";\n\\echo ready\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line == "ready\n":
                break
            lines.append(line.rstrip("\n"))
        problems = [line for line in lines if "ERROR: " in line or "FATAL: " in line]
        if problems or self.process.poll() is not None:
            raise RuntimeError("%s: %s" % (statement, problems or lines))
        return lines

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def literal(value):
    """A value in SQL."""
    return "NULL" if value is None else "'%s'" % str(value).replace("'", "''")


def in_book(seconds):
    """Seconds since 1970 as a book has them."""
    return round((float(seconds) - EPOCH_2000) * 1000000)


class Week:
    """The server, what is done to it, and the book of that."""

    def __init__(self, directory, days, leads, seed):
        self.directory = directory
        self.random = random.Random(seed)
        self.days, self.leads = days, leads
        self.entries = []
        self.runs, self.steps, self.cancelled = {}, {}, set()
        self.clock = os.path.join(directory, "clock")
        self.socket = os.path.join(directory, "socket")
        self.data = os.path.join(directory, "data")
        library = os.path.join(directory, "clock.so")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", library,
                        os.path.join(HERE, "..", "clock.c"), "-ldl"], check=True)
        self.environment = dict(os.environ, LD_PRELOAD=library, TEST_CLOCK=self.clock)
        self.travel(BEGINS)

    # ---- the clock ---------------------------------------------------------------------------

    def travel(self, to):
        """Sets the clock to a time, or a moment later."""
        self.ahead = int(to - time.time()) + 1
        with open(self.clock, "r+b" if os.path.exists(self.clock) else "wb") as file:
            file.write(struct.pack("q", self.ahead))

    def now(self):
        return time.time() + self.ahead

    # ---- processes ---------------------------------------------------------------------------

    def start(self):
        os.mkdir(self.socket)
        subprocess.run(["initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"],
                       check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as conf:
            conf.write(SETTINGS + "unix_socket_directories = '%s'\n" % self.socket)
        self.journal = os.path.join(self.directory, "journal")
        self.provider = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "..", "provider"), "--no-journal", "--journal", self.journal],
            stdout=subprocess.PIPE, text=True, env=self.environment)
        self.port = int(self.provider.stdout.readline().split()[1])
        self.start_server()

    def start_server(self):
        with open(os.path.join(self.directory, "server.log"), "ab") as log:
            subprocess.run(["pg_ctl", "-D", self.data, "-w", "-s", "start"], check=True, env=self.environment,
                           stdout=log, stderr=log)
        self.psql = Psql(self.socket)

    def stop_server(self, mode):
        self.psql.end()
        subprocess.run(["pg_ctl", "-D", self.data, "-m", mode, "-w", "-s", "stop"], check=True)

    def stop(self):
        """Whatever runs."""
        if os.path.exists(os.path.join(self.data, "postmaster.pid")):
            subprocess.run(["pg_ctl", "-D", self.data, "-m", "immediate", "-w", "-s", "stop"], check=False)
        if hasattr(self, "provider"):
            self.provider.terminate()
            self.provider.wait()

    # ---- the book ----------------------------------------------------------------------------

    def write(self, what, at=None, **more):
        self.entries.append({"what": what, "at": in_book(self.now() if at is None else at), **more})

    def write_company(self, name):
        c = COMPANIES[name]
        self.write("company", id=name, zone=c["zone"], janela=c["janela"], max_of_person=c["max_of_person"],
                   max=c["max"], gap=c["gap"] * 1000000)

    def write_cadence(self, codigo, ativo=True):
        janela, most, most_new = CADENCES[codigo]
        self.write("cadence", id=codigo, company=codigo.split("/")[0], janela=janela, max=most, max_new=most_new,
                   ativo=ativo)

    # ---- the world ----------------------------------------------------------------------------

    def make(self):
        ask = self.psql.ask
        ask("SET client_min_messages = warning")
        ask("CREATE EXTENSION cadence_runner")
        ask("SELECT cadence_create_tables()")
        ask("CREATE TABLE comprou (run uuid)")
        ask("CREATE TABLE leu (run uuid, ordem int)")
        ask("CREATE VIEW cadence_exits AS SELECT run AS run_id, 'comprou'::text AS motivo FROM comprou")
        ask("CREATE VIEW cadence_skips AS SELECT run AS run_id, ordem, 'leu'::text AS motivo FROM leu")
        self.write("begin")
        for name, c in COMPANIES.items():
            ask("CREATE SERVER %s FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa '%s',"
                " url 'http://127.0.0.1:%d/ok', on_uncertain '%s', breaker_after '0')"
                % (name.lower(), name, self.port, "hold" if name == "HOLD" else "retry"))
            ask("INSERT INTO cadence_empresas (empresa, fuso_horario, janela, max_por_lead_dia, max_por_dia,"
                " intervalo_minimo) VALUES ('%s', '%s', %s, %s, %s, '%d s')"
                % (name, c["zone"], literal(json.dumps(c["janela"]) if c["janela"] else None),
                   c["max_of_person"] or "NULL", c["max"] or "NULL", c["gap"]))
            ask("INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('%s', 'OLA', 'Olá {{nome}}')" % name)
            self.write_company(name)
        for codigo, (janela, most, most_new) in CADENCES.items():
            ask("INSERT INTO cadences (empresa, codigo, janela, max_por_dia, max_novos_por_dia, prioridade)"
                " VALUES ('%s', '%s', %s, %s, %s, %d)"
                % (codigo.split("/")[0], codigo, literal(json.dumps(janela) if janela else None), most or "NULL",
                   most_new or "NULL", self.random.randint(0, 2)))
            self.write_cadence(codigo)
            self.steps[codigo] = 0
            for _ in range(self.random.randint(3, 5)):
                self.add_step(codigo)
        for _ in range(3):
            self.holiday(self.random.randint(1, 6))
        for number in range(self.leads):
            self.add_lead(number)

    def any_step(self, ordem):
        r = self.random
        return {"ordem": ordem, "offset": 0 if ordem == 1 and r.random() < 0.7 else r.choice((5, 60, 300, 600, 1440)),
                "inicio": False, "horario": r.choice((-1, -1, -1, 540, 1078, 150, 0)), "uteis": r.random() < 0.2,
                "validade": r.choice((0, 0, 0, 4 * HOUR, DAY)) * 1000000, "pular": False, "parar": r.random() < 0.7}

    def put_step(self, statement, codigo, step):
        """Writes a step by a statement that its values are put into."""
        horario = "NULL" if step["horario"] < 0 else "'%02d:%02d'" % divmod(step["horario"], 60)
        validade = "'%d s'" % (step["validade"] // 1000000) if step["validade"] else "NULL"
        self.psql.ask(statement.format(codigo=codigo, ordem=step["ordem"], offset=step["offset"], horario=horario,
                                       uteis=step["uteis"], validade=validade, parar=step["parar"]))
        self.write("step", id="%s/%d" % (codigo, step["ordem"]), cadence=codigo, **step)

    def add_step(self, codigo):
        self.steps[codigo] += 1
        self.put_step("INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo, horario,"
                      " dias_uteis, validade, parar_se_responder) SELECT id, {ordem}, {offset}, 'WHATSAPP', 'OLA',"
                      " {horario}, {uteis}, {validade}, {parar} FROM cadences WHERE codigo = '{codigo}'",
                      codigo, self.any_step(self.steps[codigo]))

    def edit_step(self):
        """Another time, for all who have not had it."""
        codigo = self.random.choice(list(CADENCES))
        self.put_step("UPDATE cadence_steps s SET offset_minutos = {offset}, horario = {horario}, dias_uteis = {uteis},"
                      " validade = {validade}, parar_se_responder = {parar} FROM cadences c"
                      " WHERE c.id = s.cadence_id AND c.codigo = '{codigo}' AND s.ordem = {ordem}",
                      codigo, self.any_step(self.random.randint(1, self.steps[codigo])))

    def add_lead(self, number):
        company = list(COMPANIES)[number % len(COMPANIES)]
        zone = ZONES[number % len(ZONES)]
        phone, place = ("+55119%08d" % number, "BR-SP") if number % 2 else ("+4915123%06d" % number, "DE")
        self.psql.ask("INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, fuso_horario)"
                      " VALUES ('%d', '%s', 'Lead', '%s', '%s')" % (number, company, phone, zone))
        self.write("lead", id=str(number), company=company, zone=zone, place=place, phone=phone)
        self.enroll(number)

    # ---- what happens ------------------------------------------------------------------------

    def enroll(self, lead=None):
        lead = self.random.randrange(self.leads) if lead is None else lead
        codigo = "%s/%s" % (list(COMPANIES)[lead % len(COMPANIES)], self.random.choice("AB"))
        if self.psql.ask("SELECT 1 FROM cadences c WHERE codigo = '%s' AND (NOT ativo OR EXISTS (SELECT FROM"
                         " lead_cadence_runs r WHERE r.cadence_id = c.id AND lead_id = '%d'"
                         " AND status IN ('ATIVA', 'PAUSADA')))" % (codigo, lead)):
            return
        run = self.psql.ask("SELECT cadence_enroll('%d', '%s')" % (lead, codigo))[0]
        at = self.psql.ask("SELECT extract(epoch FROM started_at) FROM lead_cadence_runs WHERE id = '%s'" % run)[0]
        self.runs[run] = codigo
        self.write("run", at=at, id=run, lead=str(lead), cadence=codigo)

    def some_run(self, statuses):
        runs = self.psql.ask("SELECT id FROM lead_cadence_runs WHERE status IN (%s) ORDER BY started_at, lead_id, id"
                             % ", ".join(map(literal, statuses)))
        return self.random.choice(runs) if runs else None

    def reply(self):
        lead = self.random.randrange(self.leads)
        company = list(COMPANIES)[lead % len(COMPANIES)]
        phone = [e["phone"] for e in self.entries if e["what"] == "lead" and e["id"] == str(lead)][0]
        self.psql.ask("SELECT cadence_inbound(%s, 'Quanto custa?', empresa => '%s', canal => 'WHATSAPP')"
                      % (literal(phone), company))
        self.write("reply", lead=str(lead))

    def opt_out(self):
        lead = self.random.randrange(self.leads)
        self.psql.ask("SELECT cadence_opt_out('%d', '%s')" % (lead, list(COMPANIES)[lead % len(COMPANIES)]))
        self.write("opt-out", lead=str(lead))

    def exit(self):
        run = self.some_run(("ATIVA",))
        if run:
            self.psql.ask("INSERT INTO comprou VALUES ('%s')" % run)
            self.write("exit", run=run, why="")

    def skip(self):
        run = self.some_run(("ATIVA",))
        if run:
            ordem = self.random.randint(1, self.steps[self.runs[run]])
            self.write("skip wanted", run=run, step="%s/%d" % (self.runs[run], ordem), why="")
            self.psql.ask("INSERT INTO leu VALUES ('%s', %d)" % (run, ordem))

    def pause(self):
        run = self.some_run(("ATIVA",))
        if run:
            self.psql.ask("SELECT cadence_pause('%s')" % run)
            self.write("pause", run=run, why="operator")

    def cancel(self):
        run = self.some_run(("ATIVA", "PAUSADA"))
        if run:
            self.psql.ask("SELECT cadence_cancel('%s', 'desistiu')" % run)
            self.cancelled.add(run)
            self.write("stop", run=run, why="operator")

    def resume(self):
        """Those that are paused; what is uncertain was not sent, as only "reset" makes it so."""
        for run in self.psql.ask("SELECT id FROM lead_cadence_runs WHERE status = 'PAUSADA' ORDER BY started_at, id"):
            if self.random.random() < 0.7:
                self.write("go on", run=run, why="operator")
                try:
                    self.psql.ask("SELECT cadence_settle('%s', false)" % run)
                except RuntimeError:
                    self.psql.ask("SELECT cadence_resume('%s')" % run)

    def edit_text(self):
        self.psql.ask("UPDATE message_templates SET conteudo = 'Oi {{nome}}, %d', updated_at = now()"
                      % self.random.randrange(1000))

    def append_step(self):
        self.add_step(self.random.choice(list(CADENCES)))

    def holiday(self, in_days=None):
        """Decreed for one of the next days, or for today."""
        day = int(self.now() // DAY + (self.random.randint(0, 3) if in_days is None else in_days))
        place, company = self.random.choice((("BR", None), ("BR-SP", None), ("DE", None), ("BR", "RETRY"),
                                             ("DE", "HOLD"), ("BR", "BUSY")))
        pais, _, uf = place.partition("-")
        self.write("holiday", day=day - EPOCH_2000 // DAY, place=place, company=company if company else -1)
        self.psql.ask("INSERT INTO cadence_feriados (dia, nome, pais, uf, empresa) VALUES ('1970-01-01'::date + %d,"
                      " 'decretado', %s, %s, %s) ON CONFLICT DO NOTHING"
                      % (day, literal(pais), literal(uf or None), literal(company)))

    def set_url(self, company, path):
        self.psql.ask("ALTER SERVER %s OPTIONS (SET url 'http://127.0.0.1:%d/%s')" % (company.lower(), self.port, path))

    def outage(self):
        company = self.random.choice(list(COMPANIES))
        until = self.now() + self.random.randint(20, 400) * MINUTE
        self.set_url(company, COMPANIES[company]["outage"])
        self.write("down", company=company, until=in_book(until))
        self.plan.append((until, "set_url", (company, "ok")))

    def window(self):
        codigo = self.random.choice(list(CADENCES))
        CADENCES[codigo] = (self.random.choice((None, WORKDAYS, EVENINGS, NIGHTS)),) + CADENCES[codigo][1:]
        janela = CADENCES[codigo][0]
        self.psql.ask("UPDATE cadences SET janela = %s WHERE codigo = '%s'"
                      % (literal(json.dumps(janela) if janela else None), codigo))
        self.write_cadence(codigo)

    def switch(self, codigo=None):
        """A cadence off for some hours."""
        on = codigo is not None
        codigo = codigo or self.random.choice(list(CADENCES))
        self.psql.ask("UPDATE cadences SET ativo = %s WHERE codigo = '%s'" % (on, codigo))
        self.write_cadence(codigo, on)
        if not on:
            self.plan.append((self.now() + self.random.randint(1, 10) * HOUR, "switch", (codigo,)))

    def crash(self):
        """The server dies, and comes back hours later."""
        until = self.now() + self.random.randint(30, 300) * MINUTE
        self.write("down", company=-1, until=in_book(until))
        self.stop_server("immediate")
        self.travel(until)
        self.start_server()

    # ---- all of it -----------------------------------------------------------------------------

    def make_plan(self):
        """When what happens."""
        self.ends = BEGINS + self.days * DAY
        self.plan = [(BEGINS + self.days * DAY * 0.4, "crash", ())]
        for what, a_day in OFTEN.items():
            at = BEGINS
            while at < self.ends:
                at += self.random.expovariate(a_day / DAY)
                self.plan.append((at, what, ()))

    def wait_until_quiet(self):
        """Nothing is due, and nothing under way; when the next thing is due."""
        deadline = time.time() + QUIET_WITHIN_S
        while time.time() < deadline:
            busy, following = self.psql.ask(
                "SELECT count(*) FILTER (WHERE claim_id IS NOT NULL OR next_run_at <= clock_timestamp()),"
                " extract(epoch FROM min(next_run_at)) FROM lead_cadence_runs WHERE status = 'ATIVA'")[0].split("|")
            if busy == "0":
                return float(following or "inf")
            time.sleep(0.01)
        raise RuntimeError("what is due is not sent: %s" % self.psql.ask(
            "SELECT lead_id, next_step_ordem, next_run_at, attempts, claim_id FROM lead_cadence_runs"
            " WHERE status = 'ATIVA' ORDER BY next_run_at LIMIT 3"))

    def live(self):
        self.make_plan()
        while True:
            due = self.wait_until_quiet()
            self.plan.sort(key=lambda p: p[0])
            following = min(due, self.plan[0][0] if self.plan else due)
            if following >= self.ends:
                break
            if following > self.now():
                self.travel(following)
            while self.plan and self.plan[0][0] <= self.now():
                _, what, arguments = self.plan.pop(0)
                getattr(self, what)(*arguments)
            self.psql.ask("SELECT cadence_wake_worker()")
        self.travel(self.ends)
        self.write("end")

    def read_provider(self):
        """What it has received; what it has accepted."""
        accepted = []
        with open(self.journal, encoding="utf-8") as lines:
            for entry in map(json.loads, lines):
                run, ordem = entry["body"]["runId"], entry["body"]["stepOrdem"]
                taken = entry["behaviour"] == "ok"
                self.write("sent" if taken else "failed", at=entry["t"], run=run, why="",
                           step="%s/%d" % (self.runs[run], ordem), decided=in_book(entry["t"]))
                if taken:
                    accepted.append("%s|%d" % (run, ordem))
        return sorted(accepted)

    def read_tables(self):
        """What became of runs by themselves."""
        for line in self.psql.ask(
                "SELECT json_build_object('at', extract(epoch FROM e.created_at), 'run', lead_cadence_run_id,"
                " 'ordem', step_ordem, 'tipo', tipo_evento, 'codigo', e.detalhes ->> 'codigo', 'permanente',"
                " e.detalhes -> 'permanente') FROM lead_cadence_events e"
                " WHERE e.detalhes ->> 'codigo' IN ('VENCIDO', 'PULADO', 'INCERTO')"):
            e = json.loads(line)
            if e["codigo"] == "INCERTO":
                self.write("pause", at=e["at"], run=e["run"], why="uncertain")
            else:
                self.write("skip", at=e["at"], run=e["run"], why=e["codigo"], decided=in_book(e["at"]),
                           step="%s/%d" % (self.runs[e["run"]], e["ordem"]))
        for line in self.psql.ask(
                "SELECT json_build_object('run', r.id, 'status', r.status, 'at', extract(epoch FROM greatest(r.updated_at,"
                " (SELECT max(e.created_at) FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id))),"
                " 'last', (SELECT coalesce(e.detalhes ->> 'codigo', e.tipo_evento) FROM lead_cadence_events e"
                " WHERE e.lead_cadence_run_id = r.id AND e.tipo_evento <> 'AGENDADO'"
                " ORDER BY e.created_at DESC, e.id DESC LIMIT 1), 'reply', EXISTS (SELECT FROM lead_cadence_events e"
                " WHERE e.lead_cadence_run_id = r.id AND e.tipo_evento = 'RESPOSTA_DETECTADA'))"
                " FROM lead_cadence_runs r WHERE r.status IN ('CONCLUIDA', 'CANCELADA')"):
            r = json.loads(line)
            if r["run"] in self.cancelled:
                continue
            if r["status"] == "CANCELADA" or r["reply"]:
                self.write("stop", at=r["at"], run=r["run"], why="reply" if r["reply"] else r["last"])
            else:
                self.write("done", at=r["at"], run=r["run"], why="")
        return sorted(self.psql.ask("SELECT run_id || '|' || step_ordem FROM lead_messages WHERE direcao = 'OUTBOUND'"
                                    " AND estado = 'ENVIADO'"))


def live(directory, days, leads, seed):
    """The book of some days, and whether the provider's own agrees with the tables' messages."""
    week = Week(directory, days, leads, seed)
    try:
        week.start()
        week.make()
        week.live()
        agree = week.read_provider() == week.read_tables()
        week.stop_server("fast")
    finally:
        week.stop()
    path = os.path.join(directory, "book")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in week.entries)
    return path, agree
