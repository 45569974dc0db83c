"""Calls of webhooks as an Evolution API and Meta would make them, as lines for webhooks.sql.

Reads the ids of what was sent, by lead, as one object of JSON. Standard library only.
"""

import hashlib
import hmac
import json
import sys
import time


def evolution(phone, text, number):
    """The Evolution API tells of a message that has come in."""
    body = {"event": "messages.upsert", "instance": "vendas",
            "data": {"key": {"remoteJid": phone + "@s.whatsapp.net", "fromMe": False,
                             "id": "3A%018X" % number},
                     "message": {"conversation": text}, "messageType": "conversation",
                     "messageTimestamp": int(time.time())}}
    return {"Authorization": "Bearer evolution-calls"}, json.dumps(body, ensure_ascii=False)


def meta(message, phone, state):
    """Meta tells what became of a message, and signs what it says."""
    status = {"id": message, "recipient_id": phone, "status": state, "timestamp": str(int(time.time()))}
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "106540352242922"},
             "statuses": [status]}
    body = json.dumps({"object": "whatsapp_business_account",
                       "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]})
    digest = hmac.new(b"meta-calls", body.encode(), hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": "sha256=" + digest}, body


def line(what, server, call):
    """A line of COPY's CSV."""
    fields = (what, server, json.dumps(call[0]), call[1])
    return ",".join('"%s"' % field.replace('"', '""') for field in fields)


def main():
    """Prints the calls."""
    sent = json.load(sys.stdin)
    print(line("Ana asks something", "tokeniza_whatsapp",
               evolution("5511900000001", "Oi! Pode ser amanhã às 10h?", 1)))
    print(line("Fernanda says SAIR", "tokeniza_whatsapp", evolution("5581900000005", "Sair!", 2)))
    print(line("Larissa has read", "blue_whatsapp", meta(sent["lead-011"], "5585900000011", "read")))
    print(line("the same, told again", "blue_whatsapp",
               meta(sent["lead-011"], "5585900000011", "delivered")))
    forged = meta(sent["lead-010"], "5571900000010", "failed")
    print(line("somebody else's word", "blue_whatsapp",
               ({"X-Hub-Signature-256": "sha256=" + 64 * "0"}, forged[1])))


main()
