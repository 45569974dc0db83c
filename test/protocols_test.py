#!/usr/bin/env python3
"""Tests of protocols/schema.json: every file of protocols/ fits it, and what is misspelt does not."""

import copy
import json
import os
import unittest

import jsonschema

PROTOCOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocols")


def unique(pairs):
    """An object of JSON, none of whose members stands there twice."""
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError(f"twice the same of {names}")
    return dict(pairs)


def read(name):
    with open(os.path.join(PROTOCOLS, name), encoding="utf-8") as file:
        return json.load(file, object_pairs_hook=unique)


SCHEMA = read("schema.json")
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
FILES = sorted(name for name in os.listdir(PROTOCOLS)
               if name.endswith(".json") and name != "schema.json")


def problems(definition):
    return [f"{error.json_path}: {error.message:.300}"
            for error in VALIDATOR.iter_errors(definition)]


class Fits(unittest.TestCase):
    """What is shipped."""

    def test_schema(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_files(self):
        self.assertGreaterEqual(len(FILES), 17)
        for name in FILES:
            with self.subTest(name):
                self.assertEqual(problems(read(name)), [])


class Refuses(unittest.TestCase):
    """One mistake each, in a definition that fits without it."""

    def check(self, name, *path, value=1):
        """Puts a value at a path into a file's definition, which must not fit any more."""
        definition = read(name)
        self.assertEqual(problems(definition), [])
        at = definition = copy.deepcopy(definition)
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        self.assertNotEqual(problems(definition), [], path)

    def test_misspelt_members(self):
        self.check("webhook.json", "chanels", value=["SMS"])
        self.check("webhook.json", "operations", "text", "hedders", value={})
        self.check("webhook.json", "secrets", "username", "hlep", value="x")
        self.check("whatsapp_cloud.json", "options", "version", "defualt", value="x")
        self.check("whatsapp_cloud.json", "operations", "template.marketing", "when", "optoin",
                   value="x")
        self.check("webhook.json", "response", "ids", value=["/a"])
        self.check("webhook.json", "response", "success", "pionter", value="/a")
        self.check("twilio.json", "classes", 0, "wiat", value="1s")
        self.check("resend.json", "idempotency", "valid_fro", value="1h")
        self.check("evolution.json", "limits", "max_infligth", value=1)

    def test_names(self):
        self.check("webhook.json", "operations", "texts", value={"url": "{{option.url}}"})
        self.check("webhook.json", "operations", "text@FAX", value={"url": "{{option.url}}"})
        self.check("webhook.json", "channels", value=["FAX"])
        self.check("twilio.json", "classes", 0, "class", value="slow")
        self.check("webhook.json", "secrets", "token_file", value={"help": "x"})

    def test_placeholders(self):
        self.check("webhook.json", "operations", "text", "json", "leadId", value="{{leed_id}}")
        self.check("gupshup.json", "operations", "text", "form", "source", value="{{soruce}}")
        self.check("gupshup.json", "operations", "text", "form", "message", "text",
                   value="{{mesage}}")
        self.check("webhook.json", "address", value="{{recipient}}")

    def test_values(self):
        self.check("webhook.json", "response", "id", value=["messageId"])
        self.check("twilio.json", "classes", 0, "wait", value="soon")
        self.check("evolution.json", "classes", 3, "scope", value="lead")
        self.check("evolution.json", "classes", 3, "class", value="stopped")
        self.check("webhook.json", "operations", "text", "form", value={})
        self.check("gupshup.json", "operations", "text", "form", "source", value=1)
        self.check("webhook.json", "operations", "text", "headers", "Accept", value={})

    def test_receive(self):
        self.check("webhook.json", "receive", "event", value=[])
        self.check("webhook.json", "receive", "events", value=[])
        self.check("webhook.json", "receive", "body", value="xml")
        self.check("webhook.json", "receive", "scrub", value=["apikey"])
        self.check("twilio.json", "receive", "answer", "status", value=404)
        self.check("whatsapp_cloud.json", "receive", "verify", "tokn", value="x")
        self.check("mailgun.json", "receive", "signature", 0, "algorithm", value="md5")
        self.check("mailgun.json", "receive", "signature", 0, "signed", value="{bdoy}")
        self.check("twilio.json", "receive", "signature", 0, "url", value="{{secret.auth_token}}")
        self.check("postmark.json", "receive", "signature", 0, "signed", value="{body}")
        self.check("webhook.json", "receive", "events", 0, "event", value="mesage")
        self.check("webhook.json", "receive", "events", 0, "ignore", value="both")
        self.check("webhook.json", "receive", "events", 0, "each", value="x/*")
        self.check("webhook.json", "receive", "events", 0, "when", "/event", value={"has": "x"})
        self.check("waha.json", "receive", "events", 0, "when", "/session",
                   value={"is_not_option": "Session"})
        self.check("waha.json", "receive", "events", 0, "reject", value="")
        self.check("waha.json", "receive", "events", 0, "ignore", value="both")
        self.check("webhook.json", "receive", "events", 0, "fields", "idd", value="/id")
        self.check("webhook.json", "receive", "events", 0, "fields", "id", value="id")
        self.check("webhook.json", "receive", "events", 0, "fields", "id", value={"after": "_"})


if __name__ == "__main__":
    unittest.main()
