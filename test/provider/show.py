"""Showing messages to people."""

import json
import sys
import time

COLOUR = sys.stdout.isatty()


def show_block(channel, recipient, protocol, text, note=""):
    """Prints one message as a readable block, in one write so that blocks never mix."""
    bold, dim, plain = ("\033[1m", "\033[2m", "\033[0m") if COLOUR else ("", "", "")
    sys.stdout.write("%s%s  %-8s  to %s%s  %s(%s)%s\n    %s\n\n" % (
        bold, time.strftime("%H:%M:%S"), channel, recipient, plain, dim,
        ", ".join(filter(None, (protocol, note))), plain, text.replace("\n", "\n    ")))
    sys.stdout.flush()


def show_refusal(status, why):
    """Says that the last message was not accepted."""
    sys.stdout.write("    refused with %d: %s\n\n" % (status, why))
    sys.stdout.flush()


def show_message(entry):
    """Prints what a request holds, by the API that it is meant for."""
    body = entry["body"] if isinstance(entry["body"], dict) else {"mensagem": str(entry["body"])}
    if entry["behaviour"] == "evolution":
        show_block("WHATSAPP", body.get("number", "?"), "evolution", str(body.get("text", "")))
    elif entry["behaviour"] == "meta":
        show_block("WHATSAPP", body.get("to", "?"), "whatsapp_cloud", *meta_content(body))
    else:
        show_block(body.get("canal", "?"), body.get("telefone") or body.get("email") or "?", "webhook",
                   str(body.get("mensagem", "")), "%s, step %s, %s" % (
                       body.get("empresa", "?"), body.get("stepOrdem", "?"),
                       body.get("templateCodigo", "?")))


def meta_content(body):
    """What Meta gets: free text, or the name of a template and what stands in it; and which it is."""
    try:
        if body["type"] == "text":
            return str(body["text"]["body"]), "free text"
        template = body["template"]
        texts = [parameter["text"] for component in template["components"]
                 for parameter in component["parameters"]]
        return "%s: %s" % (template["name"], " | ".join(texts)), "approved template"
    except (KeyError, TypeError):
        return json.dumps(body, ensure_ascii=False), "something else"
