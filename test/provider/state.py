"""What all connections share: counters, the journal and what a test has asked for."""

import asyncio
import os
import random
import signal
import time

from show import show_message
from wire import decode, to_json

POINTS = ("connect", "request", "before_answer", "in_answer")

# What chaos does, in percent; slow takes a random time up to its argument.
CHAOS = {"ok": 66, "slow/3000": 8, "reset": 4, "closeafter": 3, "halfbody": 3, "hang": 3,
         "fail500": 3, "retryafter/1": 3, "softfail": 3, "garbage": 3, "refuse": 1}


class Provider:
    """What all connections share: counters, the journal, and where messages are shown."""

    def __init__(self, options):
        self.in_memory = not options.no_journal
        self.file = open(options.journal, "ab", buffering=0) if options.journal else None
        self.show = show_message if options.pretty else None
        self.random = random.Random(options.seed)
        self.is_calm = False
        self.postmaster = options.postmaster
        self.has_written = options.has_written
        self.timelocked = options.timelocked
        self.armed = None           # the point at which the server will be killed
        self.reset()

    def reset(self):
        """Forgets every request; message ids start again."""
        self.messages = 0
        self.total = 0
        self.by_behaviour = {}
        self.by_path = {}
        self.serving = 0
        self.max_serving = 0
        self.connections = 0
        self.journal = []
        self.keys = set()
        self.bodies = {}            # of the requests with a key, in order
        self.gate = asyncio.Event()

    def choose(self):
        """The path of what chaos does this time."""
        if self.is_calm:
            return "ok"
        path, = self.random.choices(list(CHAOS), CHAOS.values())
        if path.startswith("slow/"):
            path = "slow/%d" % self.random.randint(0, int(path[len("slow/"):]))
        return path

    def receive(self, request):
        """Counts and journals a request before it is answered."""
        if request.name == "chaos":
            request.become(self.choose())
        self.total += 1
        self.by_behaviour[request.name] = self.by_behaviour.get(request.name, 0) + 1
        self.serving += 1
        self.max_serving = max(self.max_serving, self.serving)
        if self.in_memory or self.file or self.show:
            entry = {"t": time.time(), "path": request.path, "headers": request.headers,
                     "body": decode(request.body), "behaviour": request.name}
            if self.in_memory:
                self.journal.append(entry)
            if self.file:
                self.file.write(to_json(entry) + b"\n")
            if self.show:
                self.show(entry)

    def done(self):
        """A request has been answered, or its connection is gone."""
        self.serving = max(0, self.serving - 1)

    def next_id(self):
        """A number for one accepted message."""
        self.messages += 1
        return self.messages

    def success(self):
        """The body of a good answer, with a message id of its own."""
        return {"success": True, "messageId": "m-%d" % self.next_id()}

    def strike(self, point):
        """Kills the server if this is the point to do so; says whether it was."""
        if self.armed != point:
            return False
        self.armed = None
        with open(self.postmaster) as file:
            os.kill(int(file.readline()), signal.SIGKILL)
        return True

    def control(self, request):
        """Answers the paths that a test asks about the others."""
        if request.name == "__count":
            return 200, {"total": self.total, "by_behaviour": self.by_behaviour, "concurrent": self.serving,
                         "max_concurrent": self.max_serving, "connections": self.connections}
        if request.name == "__journal" and self.in_memory:
            return 200, self.journal
        if request.name == "__reset" and request.method == "POST":
            self.reset()
            return 200, {}
        if request.name == "__calm" and request.method == "POST":
            self.is_calm = True
            return 200, {}
        if request.name == "__open" and request.method == "POST":
            self.gate.set()
            return 200, {}
        if request.name == "__arm" and self.postmaster and "/".join(request.arguments) in POINTS:
            self.armed = request.arguments[0]
            return 200, {}
        if request.name == "__steps" and self.in_memory:
            return 200, [{"run": entry["body"]["runId"], "ordem": entry["body"]["stepOrdem"],
                          "chave": entry["headers"].get("idempotency-key")}
                         for entry in self.journal]
        return 404, {"error": "no such control"}
