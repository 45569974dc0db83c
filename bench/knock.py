#!/usr/bin/env python3
"""Receipts by HTTP, at their times whether those before have been answered or not.

    bench/knock.py PORT TOKEN RATE SECONDS     one line each: when it was to come (Unix time), its
                                               milliseconds until the last byte, its status (0: none)

A call is a connection of its own, as the door closes each.
"""

import heapq
import json
import random
import selectors
import socket
import sys
import time

GIVE_UP_SECONDS = 30


def request(token):
    body = json.dumps({"event": "receipt", "id": f"wamid-{random.randint(1, 20000)}",
                       "state": random.choice(("sent", "delivered", "read")), "time": 1764450000}).encode()
    return (b"POST /webhooks/whatsapp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (token, len(body), body))


class Caller:
    def __init__(self, port, token):
        self.port, self.token = port, token
        self.selector = selectors.DefaultSelector()
        self.under_way = []

    def start(self, due):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.connect_ex(("127.0.0.1", self.port))
        call = {"due": due, "socket": s, "answer": b""}
        self.selector.register(s, selectors.EVENT_WRITE, call)
        heapq.heappush(self.under_way, (due + GIVE_UP_SECONDS, id(call), call))

    def end(self, call):
        status = int(call["answer"][9:12] or 0)
        self.selector.unregister(call["socket"])
        call["socket"].close()
        call["socket"] = None
        print(f"{call['due']:.6f} {(time.time() - call['due']) * 1000:.3f} {status}")

    def serve(self, call, events):
        try:
            if events & selectors.EVENT_WRITE:
                call["socket"].sendall(request(self.token))
                self.selector.modify(call["socket"], selectors.EVENT_READ, call)
                return
            data = call["socket"].recv(65536)
            call["answer"] += data
        except OSError:
            data = b""
        if not data:
            self.end(call)

    def wait(self, seconds):
        for key, events in self.selector.select(max(seconds, 0)):
            self.serve(key.data, events)
        while self.under_way and (self.under_way[0][2]["socket"] is None or self.under_way[0][0] < time.time()):
            call = heapq.heappop(self.under_way)[2]
            if call["socket"]:
                self.end(call)


def main():
    port, token, rate, seconds = int(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3]), float(sys.argv[4])
    caller = Caller(port, token)
    begin = time.time()
    for n in range(int(rate * seconds)):
        due = begin + n / rate
        while time.time() < due:
            caller.wait(due - time.time())
        caller.start(due)
    while caller.selector.get_map():
        caller.wait(1)


main()
