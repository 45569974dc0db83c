"""Showing messages to people."""

import sys
import time

COLOUR = sys.stdout.isatty()


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
