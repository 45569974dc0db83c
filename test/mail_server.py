#!/usr/bin/env python3
"""A mail server for tests: aiosmtpd, and what mail servers do that they should not.

It listens on a free port of 127.0.0.1 for each kind, and prints `NAME <port>` for it:

    PLAIN      no TLS, no log-in            AUTH      a log-in is required
    BANNER     refuses each connection      CLOSING   closes each after its greeting
    STARTTLS, SMTPS and, with another certificate, FOREIGN (STARTTLS): only with --tls

The name that a client greets with chooses the behaviour, as stage:what[:enhanced code]:

    stages     mail rcpt data (the commands), body (in the middle of the text), dot (its end), auth
    what       a code to answer with, close, hang (until the client leaves), slow (bytewise and in
               many lines), stray (a second answer at once), echo (repeats what it got)

and besides these, "limit:<n>": the connection ends with 421 after so many mails; "idle:<ms>": it is
closed when there was no mail for so long; "late:<ms>": an answer too many follows so long after each mail;
"ascii": SMTPUTF8 is not offered; anything else: nothing special.

The journal (--journal FILE) has one JSON object a line: every connection, and every mail that came
whole, as Python's own parser reads it, before its end is answered.
"""

import argparse
import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = b"vendas", b"s3nha-do-rel\xc3\xa9"


class Journal:
    """What has happened, for the test to read."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")
        self.connections = 0

    def write(self, event, **what):
        """One line."""
        print(json.dumps({"event": event, **what}), file=self.file, flush=True)


def text_of(message, subtype):
    """The decoded body of one kind, or None."""
    for part in message.walk():
        if part.get_content_type() == "text/" + subtype:
            return part.get_payload(decode=True).decode(part.get_content_charset())
    return None


class Handler:
    """Takes the mails."""

    def __init__(self, journal):
        self.journal = journal

    async def handle_DATA(self, server, session, envelope):
        """A mail has come whole."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        head, _, _ = envelope.original_content.partition(b"\r\n\r\n")
        self.journal.write(
            "mail", connection=server.number, sender=envelope.mail_from, to=envelope.rcpt_tos,
            options=envelope.mail_options,
            tls=server.transport.get_extra_info("sslcontext") is not None,
            user=(session.auth_data.login.decode() if session.auth_data else None),
            headers={name: str(value) for name, value in message.items()},
            names=[name for name, _ in message.items()],
            sender_name=str(message["From"].addresses[0].display_name),
            raw_head=head.decode("utf-8"), type=message.get_content_type(),
            defects=[str(defect) for part in message.walk() for defect in part.defects],
            longest=max(len(line) for line in envelope.original_content.split(b"\r\n")),
            ascii=envelope.original_content.isascii(),
            text=text_of(message, "plain"), html=text_of(message, "html"))
        server.mails += 1
        if await server.misbehave("dot"):
            return None
        return "250 2.0.0 taken as %d" % server.mails


class MailServer(SMTP):
    """One connection."""

    def __init__(self, journal, kind, **options):
        self.journal, self.kind = journal, kind
        self.number = 0
        self.mails = 0
        self.spoken = False
        self.timer = None
        super().__init__(Handler(journal), hostname="mail.test", ident="test", timeout=60,
                         **options)

    def connection_made(self, transport):
        if self.number == 0:            # STARTTLS makes it a second time
            self.journal.connections += 1
            self.number = self.journal.connections
            self.journal.write("connect", kind=self.kind, connection=self.number)
        super().connection_made(transport)

    def behaviour(self):
        """What the client's name asks for, in parts."""
        name = (self.session.host_name if self.session else None) or "ok"
        return name.split(":")

    async def push(self, status):
        if status is None:              # it was answered already, or never will be
            return
        if not self.spoken:
            self.spoken = True
            if self.kind == "BANNER":
                await super().push("554 5.7.1 go away")
                self.transport.close()
                return
            await super().push(status)
            if self.kind == "CLOSING":
                self.transport.close()
            return
        if self.behaviour()[0] == "ascii" and "SMTPUTF8" in str(status):
            return
        await super().push(status)

    async def misbehave(self, stage):
        """Whether the client's name asks for something at this stage, which then was done."""
        parts = self.behaviour()
        if parts[0] == "limit" and stage == "mail" and self.mails >= int(parts[1]):
            await self.push("421 4.7.0 enough for one connection")
            self.transport.close()
            return True
        if parts[0] == "idle" and stage == "mail" and self.timer is not None:
            self.timer.cancel()
        if parts[0] in ("idle", "late") and stage == "dot":
            self.timer = asyncio.get_running_loop().call_later(
                int(parts[1]) / 1000, self.transport.close if parts[0] == "idle"
                else lambda: self.transport.write(b"250 2.0.0 and again\r\n"))
            return False
        if parts[0] != stage:
            return False
        if parts[1] == "close":
            self.transport.abort()
        elif parts[1] == "hang":
            await asyncio.Event().wait()
        elif parts[1] == "slow":
            for byte in b"250-2.0.0 taken,\r\n250-2.0.0 but\r\n250 2.0.0 slowly\r\n":
                self.transport.write(bytes([byte]))
                await asyncio.sleep(0.005)
        elif parts[1] == "stray":
            self.transport.write(b"250 2.0.0 one\r\n250 2.0.0 two\r\n")
        else:
            await self.push(" ".join(parts[1:]) + ' at "%s", so says the tést' % stage)
        return True

    async def smtp_MAIL(self, arg):
        if not await self.misbehave("mail"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg):
        if not await self.misbehave("rcpt"):
            await super().smtp_RCPT(arg)

    async def smtp_AUTH(self, arg):
        if self.behaviour() == ["auth", "echo"]:
            await self.push("334 ")
            line = await self._reader.readline()
            await self.push("501 5.5.2 can not read " + line.decode().strip())
        elif not await self.misbehave("auth"):
            await super().smtp_AUTH(arg)

    async def smtp_DATA(self, arg):
        if await self.misbehave("data"):
            return
        if self.behaviour()[0] == "body":
            await self.push("354 go on")
            await self._reader.read(100)
            await self.misbehave("body")
            if not self.transport.is_closing():
                self.transport.pause_reading()
            return
        await super().smtp_DATA(arg)


def log_in(server, session, envelope, mechanism, auth_data):
    """The one user that there is."""
    good = isinstance(auth_data, LoginPassword) and \
        (auth_data.login, auth_data.password) == (USER, PASSWORD)
    return AuthResult(success=good, handled=False, auth_data=auth_data,
                      message=None if good else "535 5.7.8 wrong user or password")


def context(certificate, key):
    """TLS with one certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls


async def main(options):
    """Listens until it is killed."""
    loop = asyncio.get_running_loop()
    journal = Journal(options.journal)

    async def listen(kind, tls=None, **settings):
        server = await loop.create_server(
            lambda: MailServer(journal, kind, **settings), "127.0.0.1", 0, ssl=tls)
        print(kind, server.sockets[0].getsockname()[1], flush=True)

    login = {"authenticator": log_in, "auth_required": True, "auth_require_tls": False}
    await listen("PLAIN", enable_SMTPUTF8=True)
    await listen("AUTH", **login)
    await listen("BANNER")
    await listen("CLOSING")
    if options.tls:
        tls = context(*options.tls)
        await listen("STARTTLS", tls_context=tls, require_starttls=True, authenticator=log_in)
        await listen("SMTPS", tls=tls)
        await listen("FOREIGN", tls_context=context(*options.foreign), require_starttls=True)
    print("READY", os.getpid(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--journal", required=True)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--foreign", nargs=2, metavar=("CERTIFICATE", "KEY"))
    try:
        asyncio.run(main(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit(0)
