#!/usr/bin/env python3
"""A message provider for tests and the demo: an HTTP server whose behaviour the URL chooses.

The first segment of a request's path names the behaviour, so a test makes one SERVER for each
behaviour it needs:

    ok  fail500  status/<code>  refuse  softfail  garbage  nonjson  empty  bigbody
    endlessheaders  redirect  hang  slow/<ms>  retryafter/<seconds>  retryafterdate/<seconds>
    reset  closeafter/<ms>  hangup/<ms>  excess/<ms>/<first>  page  says/<json>  halfbody  slowbody  nokeepalive  echoauth  first500  gzip  drip  gate  gate/<code>

and chaos, which is a random one of them for each request (--seed repeats the sequence). The journal
names the one that it was. Besides them:

    GET  /__count     how many requests came, by behaviour, the most served at once, and how many
                      connections
    GET  /__journal   every request as a JSON array (not with --no-journal)
    POST /__calm      from now on chaos means ok
    GET  /__steps     the same, cut down to run, ordem and chave of each
    POST /__reset     forgets all of that, and shuts the gate
    POST /__open      opens the gate
    POST /__arm/<point>   kills the server whose --postmaster file is given, once, when the next
                      connection is accepted (connect), when the next request has come in part
                      (request) or whole (before_answer), or when half of its answer has left
                      (in_answer); that connection then stays silent until the client hangs up

It listens on a free port of 127.0.0.1 and prints `PORT <n>`. Standard library only. The server
speaks HTTP/1.1 by hand, because tests need answers that no proper server would give, and because
asyncio's Protocol is fast enough for benchmarks.
"""

import argparse
import asyncio
import email.utils
import gzip
import inspect
import json
import os
import random
import resource
import signal
import socket
import ssl
import struct
import sys
import time
import urllib.parse
from http import HTTPStatus

BEHAVIOURS = {}
NO_BODY = (204, 304)
POINTS = ("connect", "request", "before_answer", "in_answer")
BIG_BODY = 100 * 1024 * 1024

# What chaos does, in percent; slow takes a random time up to its argument.
CHAOS = {"ok": 66, "slow/3000": 8, "reset": 4, "closeafter": 3, "halfbody": 3, "hang": 3,
         "fail500": 3, "retryafter/1": 3, "softfail": 3, "garbage": 3, "refuse": 1}


def behaviour(function):
    """Registers a function under its name; it gets the connection, the request and path parts."""
    BEHAVIOURS[function.__name__] = function
    return function


class Request:
    """One parsed request."""

    __slots__ = ("method", "path", "headers", "body", "name", "arguments")

    def __init__(self, method, path, headers, body):
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.become(path)

    def become(self, path):
        """Takes name and arguments of a behaviour from a path."""
        parts = path.partition("?")[0].strip("/").split("/")
        self.name = parts[0]
        self.arguments = parts[1:]


class Provider:
    """What all connections share: counters, the journal, and where messages are shown."""

    def __init__(self, options):
        self.in_memory = not options.no_journal
        self.file = open(options.journal, "ab", buffering=0) if options.journal else None
        self.show = show_message if options.pretty else None
        self.random = random.Random(options.seed)
        self.is_calm = False
        self.postmaster = options.postmaster
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

    def success(self):
        """The body of a good answer, with a message id of its own."""
        self.messages += 1
        return {"success": True, "messageId": "m-%d" % self.messages}

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
            return 200, {"total": self.total, "by_behaviour": self.by_behaviour,
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


class Connection(asyncio.Protocol):
    """One keep-alive connection; its requests are served one after the other."""

    def __init__(self, provider):
        self.provider = provider
        self.buffer = bytearray()
        self.head = None            # (method, path, headers) while the body is still coming
        self.task = None            # the behaviour that takes its time
        self.served = 0
        self.keep = True
        self.silent = False         # nothing is read or answered any more
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.provider.connections += 1
        self.silent = self.provider.strike("connect")

    def connection_lost(self, exc):
        self.writable.set()
        if self.task:
            self.task.cancel()

    def pause_writing(self):
        self.writable.clear()

    def resume_writing(self):
        self.writable.set()

    def data_received(self, data):
        self.buffer += data
        self.advance()

    def advance(self):
        """Serves what has arrived completely, unless a slow behaviour is still at work."""
        while self.task is None and not self.silent and not self.transport.is_closing():
            try:
                request = self.parse()
            except (ValueError, UnicodeDecodeError):
                self.transport.close()
                return
            if request is None:
                self.silent = self.head is not None and self.provider.strike("request")
                return
            self.serve(request)

    def parse(self):
        """Takes one request off the buffer, or returns None when more must come."""
        if self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return None
            lines = self.buffer[:end].decode("latin-1").split("\r\n")
            del self.buffer[:end + 4]
            method, path, _ = lines[0].split(" ", 2)
            headers = {}
            for line in lines[1:]:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            self.head = (method, path, headers)
            if headers.get("expect", "").lower() == "100-continue":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method, path, headers = self.head
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self.take_chunks()
        else:
            body = self.take(int(headers.get("content-length", 0)))
        if body is None:
            return None
        self.head = None
        self.keep = headers.get("connection", "").lower() != "close"
        return Request(method, path, headers, body)

    def take(self, length):
        """A body of known length."""
        if len(self.buffer) < length:
            return None
        body = bytes(self.buffer[:length])
        del self.buffer[:length]
        return body

    def take_chunks(self):
        """A chunked body; trailers are not expected."""
        body, at = bytearray(), 0
        while True:
            end = self.buffer.find(b"\r\n", at)
            if end < 0:
                return None
            size = int(self.buffer[at:end].split(b";")[0], 16)
            at = end + 2 + size + 2
            if len(self.buffer) < at:
                return None
            if size == 0:
                del self.buffer[:at]
                return bytes(body)
            body += self.buffer[end + 2:end + 2 + size]

    def serve(self, request):
        """Answers at once, or leaves a task behind that will."""
        if request.name.startswith("__"):
            self.answer(*self.provider.control(request))
            return
        self.provider.receive(request)
        self.served += 1
        if self.provider.strike("before_answer"):
            self.silent = True
            return
        if self.provider.strike("in_answer"):
            self.silent = True
            body = to_json(self.provider.success())
            self.transport.write(self.start(200, len(body)) + body[:len(body) // 2])
            return
        try:
            result = BEHAVIOURS.get(request.name, fixed)(self, request, *request.arguments)
        except (TypeError, ValueError) as problem:      # an argument missing or not a number
            result = self.answer(400, {"error": str(problem)})
        if inspect.iscoroutine(result):
            self.task = asyncio.get_running_loop().create_task(self.finish(result))
        else:
            self.provider.done()

    async def finish(self, work):
        """Waits for a slow behaviour, then goes on with the connection's next request."""
        try:
            await work
        except ConnectionError:
            self.transport.abort()
        except ValueError as problem:
            self.answer(400, {"error": str(problem)})
        finally:
            self.provider.done()
        self.task = None
        self.advance()

    async def write(self, data):
        """Writes with back pressure; raises once the client has hung up."""
        if self.transport.is_closing():
            raise ConnectionResetError
        self.transport.write(data)
        await self.writable.wait()

    def answer(self, status, body, headers=(), content_type="application/json"):
        """A complete, well-formed answer."""
        if not isinstance(body, bytes):
            body = to_json(body)
        self.transport.write(self.start(status, len(body), headers, content_type)
                             + (b"" if status in NO_BODY else body))
        if not self.keep:
            self.transport.close()

    def start(self, status, length, headers=(), content_type="application/json"):
        """The status line and headers of an answer."""
        lines = ["HTTP/1.1 %d %s" % (status, reason(status))]
        if status not in NO_BODY:
            lines += ["Content-Type: " + content_type, "Content-Length: %d" % length]
        if not self.keep:
            lines.append("Connection: close")
        lines.extend(headers)
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def reason(status):
    """The standard's words for a status, for statuses that it knows."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def to_json(value):
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def decode(body):
    """A body as JSON where it is, else as text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


# Behaviours: those that always answer the same, then those that need code.

FIXED = {
    "fail500": dict(status=500, body={"error": "boom"}),
    "refuse": dict(status=422, body={"success": False, "error": "number does not exist"}),
    "softfail": dict(status=200, body={"success": False, "error": "soft"}),
    "nonjson": dict(status=200, body=b"OK", content_type="text/plain"),
    "empty": dict(status=204, body=b""),
    "redirect": dict(status=302, body=b"", headers=["Location: /ok"]),
}


def fixed(conn, request, *_):
    """A fixed answer, or 404 where the path names no behaviour."""
    conn.answer(**FIXED.get(request.name) or
                dict(status=404, body={"error": "no behaviour named %s" % request.name}))


@behaviour
def ok(conn, _request):
    """The message is accepted."""
    conn.answer(200, conn.provider.success())


@behaviour
def status(conn, _request, code):
    conn.answer(int(code), {"error": "status %d" % int(code)})


@behaviour
def garbage(conn, _request):
    conn.answer(200, os.urandom(512))


@behaviour
async def bigbody(conn, _request):
    """More body than anybody should read."""
    conn.transport.write(conn.start(200, BIG_BODY, content_type="text/plain"))
    chunk = b"x" * 65536
    for _ in range(BIG_BODY // len(chunk)):
        await conn.write(chunk)


@behaviour
async def endlessheaders(conn, _request):
    """Headers until the client hangs up."""
    conn.transport.write(b"HTTP/1.1 200 OK\r\n")
    lines = b"".join(b"X-Filler-%d: %s\r\n" % (n, b"y" * 100) for n in range(100))
    while True:
        await conn.write(lines)


@behaviour
async def hang(_conn, _request):
    """Reads the request and says nothing until the client hangs up."""
    await asyncio.Event().wait()


@behaviour
async def slow(conn, _request, milliseconds):
    await asyncio.sleep(int(milliseconds) / 1000)
    conn.answer(200, conn.provider.success())


@behaviour
async def gate(conn, request, *code):
    """Accepted, or answered with a status, once the gate is open."""
    await conn.provider.gate.wait()
    if code:
        status(conn, request, *code)
    else:
        conn.answer(200, conn.provider.success())


@behaviour
def retryafter(conn, _request, seconds):
    conn.answer(429, {"error": "too many"}, headers=["Retry-After: %d" % int(seconds)])


@behaviour
def retryafterdate(conn, _request, seconds):
    date = email.utils.formatdate(time.time() + int(seconds), usegmt=True)
    conn.answer(503, {"error": "later"}, headers=["Retry-After: " + date])


@behaviour
def reset(conn, _request):
    """The connection breaks with a RST once the request was read."""
    conn.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.transport.abort()


@behaviour
async def closeafter(conn, _request, milliseconds=0):
    """Keeps the connection after its first request, reads a second and closes unanswered."""
    if conn.served > 1:
        conn.transport.close()
        return
    await asyncio.sleep(int(milliseconds) / 1000)
    conn.answer(200, conn.provider.success())


@behaviour
async def hangup(conn, _request, milliseconds):
    """Accepted; soon after that the connection is closed, about which the answer says nothing."""
    conn.answer(200, conn.provider.success())
    asyncio.get_running_loop().call_later(int(milliseconds) / 1000, conn.transport.close)


@behaviour
async def excess(conn, request, milliseconds, first=0):
    """The first requests of a path are accepted; then each is refused, and a second answer follows."""
    served = conn.provider.by_path[request.path] = conn.provider.by_path.get(request.path, 0) + 1
    if served <= int(first):
        await asyncio.sleep(0.02)
        conn.answer(200, conn.provider.success())
        return
    conn.answer(200, {"success": False, "error": "refused"})
    await asyncio.sleep(int(milliseconds) / 1000)
    conn.answer(200, conn.provider.success())


@behaviour
def page(conn, _request):
    """A login page, as a proxy or a portal shows it."""
    conn.answer(200, b"<!doctype html><title>Login</title>", content_type="text/html")


@behaviour
def says(conn, _request, value):
    """Says success in its own words: a JSON value, percent-encoded where it must be."""
    conn.answer(200, b'{"success": %s, "messageId": 123456789012345678901234567890}'
                % urllib.parse.unquote(value).encode())


@behaviour
def halfbody(conn, _request):
    """Promises 100 bytes, sends 10."""
    conn.transport.write(conn.start(200, 100) + b'{"success"')
    conn.transport.close()


@behaviour
async def slowbody(conn, _request):
    """Headers, and then nothing more."""
    conn.transport.write(conn.start(200, 100))
    await asyncio.Event().wait()


@behaviour
def nokeepalive(conn, _request):
    conn.keep = False
    conn.answer(200, conn.provider.success())


@behaviour
def echoauth(conn, request):
    """A careless provider, whose error repeats the secret."""
    conn.answer(500, {"error": "bad credentials: " + request.headers.get("authorization", "")})


@behaviour
def first500(conn, request):
    """Fails the first attempt of every idempotency key."""
    key = request.headers.get("idempotency-key")
    if key in conn.provider.keys:
        conn.answer(200, conn.provider.success())
    else:
        conn.provider.keys.add(key)
        conn.answer(500, {"error": "boom"})


def gzipped(conn, _request):
    """Compressed although nobody asked for it."""
    body = gzip.compress(to_json(conn.provider.success()))
    conn.answer(200, body, headers=["Content-Encoding: gzip"])


BEHAVIOURS["gzip"] = gzipped


@behaviour
async def drip(conn, _request):
    """A good body, one byte each 50 ms."""
    body = to_json(conn.provider.success())
    conn.transport.write(conn.start(200, len(body)))
    for byte in body:
        await conn.write(bytes([byte]))
        await asyncio.sleep(0.05)


# Showing messages to people.

def show_message(entry):
    """Prints one message as a readable block, in one write so that blocks never mix."""
    bold, dim, plain = ("\033[1m", "\033[2m", "\033[0m") if COLOUR else ("", "", "")
    body = entry["body"] if isinstance(entry["body"], dict) else {"mensagem": str(entry["body"])}
    when = time.strftime("%H:%M:%S", time.localtime(entry["t"]))
    recipient = body.get("telefone") or body.get("email") or "?"
    text = str(body.get("mensagem", "")).replace("\n", "\n    ")
    sys.stdout.write("%s%s  %-8s  to %s%s  %s(%s, step %s, %s)%s\n    %s\n\n" % (
        bold, when, body.get("canal", "?"), recipient, plain, dim, body.get("empresa", "?"),
        body.get("stepOrdem", "?"), body.get("templateCodigo", "?"), plain, text))
    sys.stdout.flush()


COLOUR = sys.stdout.isatty()


def parse_options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--journal", metavar="FILE", help="append each request as a line of JSON")
    parser.add_argument("--no-journal", action="store_true", help="keep no request in memory")
    parser.add_argument("--pretty", action="store_true", help="print each message as it arrives")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"),
                        help="listen for TLS, too, and print `TLS <n>` before the other port")
    parser.add_argument("--seed", metavar="TEXT", help="repeats what chaos chooses")
    parser.add_argument("--colour", action="store_true", help="colour although not on a terminal")
    parser.add_argument("--postmaster", metavar="FILE",
                        help="the postmaster.pid of the server that /__arm is about")
    return parser.parse_args()


async def main():
    """Listens until SIGTERM or SIGINT."""
    global COLOUR
    options = parse_options()
    COLOUR = COLOUR or options.colour
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    provider = Provider(options)
    server = await loop.create_server(lambda: Connection(provider), "127.0.0.1", 0, backlog=4096)
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        secure = await loop.create_server(lambda: Connection(provider), "127.0.0.1", 0,
                                          ssl=context, backlog=4096)
        print("TLS %d" % secure.sockets[0].getsockname()[1], flush=True)
    print("PORT %d" % server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
