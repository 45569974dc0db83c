#!/usr/bin/env python3
"""A mail server that shows each mail as it arrives, and keeps none.

    mail_server.py [--colour]

It listens on a free port of 127.0.0.1 and prints `MAIL <n>`. Needs aiosmtpd.
"""

import argparse
import asyncio
import email
import email.policy
import os
import signal
import sys

from aiosmtpd.smtp import SMTP

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../test/provider"))
import show  # noqa: E402


class Handler:
    """Takes the mails."""

    async def handle_DATA(self, _server, _session, envelope):
        """A mail has come whole."""
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = mail.get_body(("plain", "html"))
        show.show_block("EMAIL", ", ".join(envelope.rcpt_tos), "smtp", "%s\n\n%s" % (
            "\n".join("%s: %s" % (name, mail.get(name, "")) for name in ("From", "To", "Subject")),
            part.get_content().rstrip() if part else ""))
        return "250 2.0.0 taken"


async def main():
    """Listens until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--colour", action="store_true", help="colour although not on a terminal")
    show.COLOUR = parser.parse_args().colour or show.COLOUR
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: SMTP(Handler(), enable_SMTPUTF8=True), "127.0.0.1", 0,
                                      backlog=1024)
    print("MAIL %d" % server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
