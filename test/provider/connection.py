"""HTTP/1.1 by hand, since tests need answers that no proper server would give; asyncio's Protocol is
fast enough for benchmarks.
"""

import asyncio
import inspect
import socket

from behaviours import find
from wire import Request, reason, to_json

NO_BODY = (204, 304)


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
            result = find(request.name)(self, request, *request.arguments)
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
