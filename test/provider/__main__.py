"""A message provider for tests and the demo: an HTTP server whose behaviour the URL chooses.

The first segment of a request's path names the behaviour, so a test makes one SERVER for each
behaviour it needs:

    ok  fail500  status/<code>  refuse  softfail  garbage  nonjson  empty  bigbody
    endlessheaders  redirect  hang  slow/<ms>  retryafter/<seconds>  retryafterdate/<seconds>
    reset  closeafter/<ms>  hangup/<ms>  excess/<ms>/<first>  page  says/<json>  halfbody
    slowbody  nokeepalive  echoauth  first500  gzip  drip  gate  gate/<code>

Two stand for real APIs and take only what those would, at the address that a server's url would be:

    evolution   the Evolution API; --timelocked names those whom its number may not write to first
    meta        the Cloud API of Meta; --has-written names those who may be sent free text

And chaos, which is a random one of the others for each request (--seed repeats the sequence). The journal
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

It listens on a free port of 127.0.0.1 and prints `PORT <n>`. Standard library only.
"""

import argparse
import asyncio
import resource
import signal
import ssl

import show
from connection import Connection
from state import Provider


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
    parser.add_argument("--has-written", metavar="DIGITS", action="append", default=[],
                        help="a person who has written within the last 24 hours")
    parser.add_argument("--timelocked", metavar="DIGITS", action="append", default=[],
                        help="a stranger to whom WhatsApp lets no new chat be opened now")
    parser.add_argument("--postmaster", metavar="FILE",
                        help="the postmaster.pid of the server that /__arm is about")
    return parser.parse_args()


async def main():
    """Listens until SIGTERM or SIGINT."""
    options = parse_options()
    show.COLOUR = show.COLOUR or options.colour
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
