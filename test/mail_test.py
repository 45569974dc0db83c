#!/usr/bin/env python3
"""Mails that src/rules/mail.c writes, read by Python's parser: whatever goes in comes out.

    test/mail_test.py        builds the writer with cc; TRIES=… changes how many mails are made
"""

import ctypes
import email
import email.header
import email.policy
import email.utils
import os
import random
import subprocess
import sys
import tempfile
import unittest

SRC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src")
FILES = ("mail", "mailbox", "buffer", "text")
KEY = "0474d302-b50b-5a0b-a4e6-cbffab729d9c"
TRIES = int(os.environ.get("TRIES", "300"))
ALPHABETS = ("abc ", "abcdefghijklmnopqrstuvwxyz  .,", "áéíõç ÃÇ", "=?_", "<>@\"\\(),;:",
             "🎉👍🏽é", "日本語", "\u200b\u00a0x", "From ", ".")


class Parts(ctypes.Structure):
    """MailParts."""
    _fields_ = [(name, ctypes.c_char_p) for name in (
        "from_", "recipient", "reply_to", "subject", "text", "html", "key", "unsubscribe_url")] + \
        [("at", ctypes.c_long)]


class Mail(ctypes.Structure):
    """Mail."""
    _fields_ = [("sender", ctypes.c_char_p), ("id", ctypes.c_char_p), ("text", ctypes.c_void_p),
                ("len", ctypes.c_size_t), ("needs_utf8", ctypes.c_bool)]


def build():
    """The writer, as a library."""
    directory = tempfile.mkdtemp()
    library = os.path.join(directory, "mail.so")
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-I", SRC, "-o", library] +
                   [os.path.join(SRC, "rules", name + ".c") for name in FILES], check=True)
    return ctypes.CDLL(library)


WRITER = build()


def write(**parts):
    """The bytes of a mail, or None."""
    values = {"from_": "ACME <vendas@acme.example>", "recipient": "ana@example.com", "key": KEY,
              "text": "Hi", **parts}
    given = Parts(at=1764406978, **{name: value.encode() for name, value in values.items()})
    made = Mail()
    if not WRITER.mail_write(ctypes.byref(given), ctypes.byref(made)):
        return None
    data = ctypes.string_at(made.text, made.len)
    WRITER.mail_free(ctypes.byref(made))
    return data


def read(data):
    """As a message."""
    return email.message_from_bytes(data, policy=email.policy.default)


def body(part):
    """A part's text, with one kind of line ends."""
    return part.get_payload(decode=True).decode(part.get_content_charset()).replace("\r\n", "\n")


def mailbox(data, header):
    """A header's name and address. The new parser keeps the blanks between encoded words in names."""
    name, address = email.utils.parseaddr(email.message_from_bytes(data)[header])
    return str(email.header.make_header(email.header.decode_header(name))), address


def some_text(choice, longest):
    """A random text of a few alphabets."""
    alphabet = "".join(choice.sample(ALPHABETS, choice.randint(1, 3)))
    return "".join(choice.choices(alphabet, k=choice.randint(1, longest)))


class Mails(unittest.TestCase):
    """What is read is what was written."""

    def check_form(self, data):
        """Lines that no relay has a reason to touch."""
        self.assertTrue(data.isascii())
        self.assertTrue(data.endswith(b"\r\n"))
        for line in data[:-2].split(b"\r\n"):
            self.assertNotIn(b"\n", line)
            self.assertNotIn(b"\r", line)
            self.assertLessEqual(len(line), 76 if not line.startswith(b"List-Unsub") else 998, line)
            self.assertFalse(line.startswith(b"."), line)

    def test_subjects(self):
        """Short and long, ASCII and not."""
        subjects = ["Oi", "a" * 2000, "ação " * 400, "🎉" * 500, "word " * 399 + "end",
                    "=?UTF-8?Q?no?=", " leads", "trails ", "two  blanks", "x" * 57, "x" * 56,
                    ("x" * 55 + " ") * 9 + "y", "José 👩‍👩‍👧‍👦 e família"]
        for subject in subjects:
            data = write(subject=subject)
            self.check_form(data)
            self.assertEqual(str(read(data)["Subject"]), subject)

    def test_no_subject(self):
        """Without one there is none."""
        self.assertNotIn("Subject", read(write()))

    def test_random(self):
        """Many mails, of any characters."""
        choice = random.Random(1)
        for _ in range(TRIES):
            subject, text, html, name = (some_text(choice, n) for n in (200, 400, 400, 60))
            text = text.replace(".", choice.choice((".", "\n.", "\r\n", "\r", " \n")))
            name = name.strip(" ").replace("<", "(").replace('"', "'") or "x"
            data = write(subject=subject, text=text, html=html, from_=name + " <a@acme.example>")
            message = read(data)
            self.check_form(data)
            self.assertEqual(str(message["Subject"]), subject)
            self.assertEqual(mailbox(data, "From"), (name, "a@acme.example"))
            self.assertEqual(message.get_content_type(), "multipart/alternative")
            parts = [part.get_content_type() for part in message.iter_parts()]
            self.assertEqual(parts, ["text/plain", "text/html"])
            plain, rich = message.iter_parts()
            self.assertEqual(body(plain), text.replace("\r\n", "\n").replace("\r", "\n"))
            self.assertEqual(body(rich), html)
            for part in message.walk():
                self.assertEqual(part.defects, [])

    def test_names(self):
        """With quotes and without."""
        for given, meant in (('"ACME, Inc."', "ACME, Inc."), ("ACME, Inc.", "ACME, Inc."),
                             (r'"a \"b\" c"', 'a "b" c'), ("José & Cia", "José & Cia"),
                             ("🎉" * 40, "🎉" * 40), ("x" * 300, "x" * 300)):
            data = write(from_=given + " <a@b.example>", reply_to=given + " <c@d.example>")
            self.assertEqual(mailbox(data, "From"), (meant, "a@b.example"))
            self.assertEqual(mailbox(data, "Reply-To"), (meant, "c@d.example"))

    def test_unsubscribe(self):
        """One click, and nothing that could end the address."""
        message = read(write(unsubscribe_url="https://acme.example/u?t=é <x>"))
        self.assertEqual(message["List-Unsubscribe"], "<https://acme.example/u?t=%C3%A9%20%3Cx%3E>")
        self.assertEqual(message["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click")
        self.assertNotIn("List-Unsubscribe", read(write()))
        self.assertIsNone(write(unsubscribe_url="https://acme.example/" + "x" * 1000))

    def test_large(self):
        """As large as a message may be, in linear time."""
        text = "é🎉.\n" * 200_000
        self.assertEqual(body(read(write(text=text))), text + "\n")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-q"])
