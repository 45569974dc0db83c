"""What the first segment of a path chooses."""

import asyncio
import email.utils
import gzip
import os
import re
import socket
import struct
import time
import urllib.parse

from show import show_refusal
from wire import decode, reason, to_json

BEHAVIOURS = {}
BIG_BODY = 100 * 1024 * 1024

# What the stand-ins for real APIs know: their secrets, and the templates that Meta has approved, with
# how many parameters the body of each has.
EVOLUTION_KEY = "evolution-key"
META_TOKEN = "meta-token"
APPROVED = {("blue_tira_duvidas", "pt_BR"): 2, ("blue_ir_agora", "pt_BR"): 2,
            ("blue_ir_1d", "pt_BR"): 2}
BRAZILIAN = re.compile(r"55[1-9][0-9](9[0-9]{8}|[2-5][0-9]{7})")
META_PATH = re.compile(r"v[0-9]+\.[0-9]+/[0-9]+/messages")

# Those that always answer the same; the others need code.
FIXED = {
    "fail500": dict(status=500, body={"error": "boom"}),
    "refuse": dict(status=422, body={"success": False, "error": "number does not exist"}),
    "softfail": dict(status=200, body={"success": False, "error": "soft"}),
    "nonjson": dict(status=200, body=b"OK", content_type="text/plain"),
    "empty": dict(status=204, body=b""),
    "redirect": dict(status=302, body=b"", headers=["Location: /ok"]),
}


def behaviour(function):
    """Registers a function under its name; it gets the connection, the request and path parts."""
    BEHAVIOURS[function.__name__] = function
    return function


def find(name):
    """The behaviour of that name, or what answers that there is none."""
    return BEHAVIOURS.get(name, fixed)


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
async def gate(conn, request, *answer):
    """Accepted, or answered with a status, and perhaps a body, once the gate is open."""
    await conn.provider.gate.wait()
    if len(answer) > 1:
        answers(conn, request, *answer)
    elif answer:
        status(conn, request, *answer)
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
    # on a busy machine the next request may have come first, whose answer it would be
    if not conn.buffer:
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
def answers(conn, _request, code, body, *_):
    """Whatever a test wants to hear: a status, and a body of JSON, percent-encoded."""
    conn.answer(int(code), urllib.parse.unquote(body).encode())


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


@behaviour
async def keyed(conn, request, *fates):
    """What becomes of the requests with one key, in turn: "reset", "hang" or a status; then accepted.

    One whose body is another than that of the key's first is refused.
    """
    key = request.headers.get("idempotency-key", "")
    bodies = conn.provider.bodies.setdefault(key, [])
    bodies.append(request.body)
    fate = fates[len(bodies) - 1] if len(bodies) <= len(fates) else "ok"
    if request.body != bodies[0]:
        conn.answer(422, {"success": False, "error": "another body than the key's first"})
    elif fate == "reset":
        reset(conn, request)
    elif fate == "hang":
        await hang(conn, request)
    elif fate.isdigit():
        status(conn, request, fate)
    else:
        conn.answer(200, {**conn.provider.success(), "id": "m-%d" % conn.provider.messages})


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


def turn_down(conn, status_code, body, why):
    """A refusal, also where messages are shown."""
    if conn.provider.show:
        show_refusal(status_code, why)
    conn.answer(status_code, body)


def evolution_error(conn, status_code, problem):
    """As the Evolution API words its errors."""
    turn_down(conn, status_code, {"status": status_code, "error": reason(status_code),
                                  "response": {"message": problem}}, to_json(problem).decode())


@behaviour
def evolution(conn, request, *path):
    """An Evolution API that sends texts to numbers of Brazil, which is all that it knows."""
    body = decode(request.body)
    if request.headers.get("apikey") != EVOLUTION_KEY:
        evolution_error(conn, 401, "Unauthorized")
    elif request.method != "POST" or len(path) != 3 or path[:2] != ("message", "sendText"):
        evolution_error(conn, 404, ["Cannot %s /%s" % (request.method, "/".join(path))])
    elif problem := evolution_problem(body):
        evolution_error(conn, 400, [problem])
    elif body["number"] in conn.provider.timelocked:
        evolution_error(conn, 400, ["Error: 463: NackCallerReachoutTimelocked"])
    else:
        conn.answer(201, {"key": {"remoteJid": body["number"] + "@s.whatsapp.net", "fromMe": True,
                                  "id": "3EB0%016X" % conn.provider.next_id()},
                          "status": "PENDING", "messageType": "conversation"})


def evolution_problem(body):
    """What is wrong with a text message, or None."""
    for name in ("number", "text"):
        if not isinstance(body, dict) or not isinstance(body.get(name), str) or not body[name]:
            return ['instance requires property "%s"' % name]
    number = body["number"]
    if not BRAZILIAN.fullmatch(number):
        return {"jid": number + "@s.whatsapp.net", "exists": False, "number": number}
    return None


def meta_error(conn, status_code, code, title, details=None):
    """As the Graph API words its errors."""
    error = {"message": "(#%d) %s" % (code, title), "type": "OAuthException", "code": code,
             "fbtrace_id": "A%d" % conn.provider.total}
    if details:
        error["error_data"] = {"messaging_product": "whatsapp", "details": details}
    turn_down(conn, status_code, {"error": error}, error["message"])


@behaviour
def meta(conn, request, *path):
    """Meta's Cloud API: texts to those who have written to us, approved templates to everybody."""
    body = decode(request.body)
    if request.headers.get("authorization") != "Bearer " + META_TOKEN:
        meta_error(conn, 401, 190, "Invalid OAuth access token")
    elif request.method != "POST" or not META_PATH.fullmatch("/".join(path)):
        meta_error(conn, 400, 2500, "Unknown path components: /" + "/".join(path))
    elif problem := meta_problem(body, conn.provider.has_written):
        meta_error(conn, 400, *problem)
    else:
        conn.answer(200, {"messaging_product": "whatsapp",
                          "contacts": [{"input": body["to"], "wa_id": body["to"].lstrip("+")}],
                          "messages": [{"id": "wamid.%016X" % conn.provider.next_id()}]})


def meta_problem(body, has_written):
    """What is wrong with a message: code, title and details; or None."""
    if not isinstance(body, dict) or body.get("messaging_product") != "whatsapp":
        return 100, "The parameter messaging_product is required."
    to = body.get("to")
    if not isinstance(to, str) or not re.fullmatch(r"\+?[1-9][0-9]{6,14}", to):
        return 131009, "Parameter value is not valid", "to is no telephone number"
    if body.get("type") == "template":
        return meta_template_problem(body.get("template"))
    if body.get("type") != "text":
        return 131051, "Unsupported message type"
    if not isinstance(body.get("text"), dict) or not body["text"].get("body"):
        return 131008, "Required parameter is missing", "text.body is missing"
    if to.lstrip("+") not in has_written:
        return 131047, "Re-engagement message", "more than 24 hours since the person's last message"
    return None


def meta_template_problem(template):
    """The same for what names a template."""
    try:
        expected = APPROVED.get((template["name"], template["language"]["code"]))
        texts = [parameter["text"] for component in template.get("components", [])
                 if component["type"] == "body" for parameter in component["parameters"]
                 if parameter["type"] == "text"]
    except (TypeError, KeyError) as problem:
        return 131008, "Required parameter is missing", str(problem)
    if expected is None:
        return 132001, "Template name does not exist in the translation"
    if len(texts) != expected:
        return (132000, "Number of parameters does not match the expected number of params",
                "%d instead of %d" % (len(texts), expected))
    if not all(texts):
        return 131008, "Required parameter is missing", "a parameter is empty"
    return None
