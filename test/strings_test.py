#!/usr/bin/env python3
"""The dashboard's words: each language has all that the pages say, and nothing that nobody says.

    test/strings_test.py
"""

import glob
import json
import os
import re
import unittest

DASHBOARD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "dashboard")
VENDORED = {"uplot.js"}
PLURALS = ("one", "other")


def strings(language):
    with open(os.path.join(DASHBOARD, f"strings.{language}.json"), encoding="utf-8") as file:
        pairs = json.load(file, object_pairs_hook=list)
    assert len(pairs) == len(dict(pairs)), f"a key stands twice in strings.{language}.json"
    return dict(pairs)


def languages():
    return sorted(re.search(r"strings\.(.+)\.json$", path).group(1)
                  for path in glob.glob(os.path.join(DASHBOARD, "strings.*.json")))


def sources():
    for path in sorted(glob.glob(os.path.join(DASHBOARD, "*.js")) + [os.path.join(DASHBOARD, "index.html")]):
        if os.path.basename(path) not in VENDORED:
            with open(path, encoding="utf-8") as file:
                yield os.path.basename(path), file.read()


def stem(key):
    """A key with its form of the plural taken off."""
    head, _, form = key.rpartition(".")
    return head if form in PLURALS else key


def placeholders(text):
    return set(re.findall(r"\{(\w+)\}", text))


class StringsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.all = {language: strings(language) for language in languages()}
        cls.keys = set(cls.all["pt-BR"])
        families = {key.split(".")[0] for key in cls.keys}
        cls.used, cls.patterns = {}, {}
        for name, text in sources():
            for literal in re.findall(r"""['"]([a-z_]+(?:\.[\w-]+)+)['"]""", text):
                if literal.split(".")[0] in families and not re.search(r"\.(js|json|css|svg)$", literal):
                    cls.used.setdefault(literal, name)
            if name == "i18n.js":
                continue
            # what is put together when the page runs: any key of its form will do
            for template in re.findall(r"`([\w.]*\.?\$\{[^`]*|\$\{[^`]*)`", text):
                pattern = re.sub(r"\\\$\\\{.*?\\\}", r"[\\w-]+", re.escape(template))
                if re.match(r"[a-z_]+\\\.|.*\\\.[a-z]+$", pattern) and "\\." in pattern and "/" not in template:
                    cls.patterns.setdefault(pattern, (name, template))

    def test_two_languages(self):
        self.assertIn("pt-BR", self.all)
        self.assertIn("en", self.all)

    def test_languages_have_the_same_keys(self):
        for language, words in self.all.items():
            self.assertEqual(self.keys ^ set(words), set(), f"pt-BR and {language} differ")

    def test_nothing_is_empty(self):
        for language, words in self.all.items():
            self.assertEqual([key for key, text in words.items() if not str(text).strip()], [], language)

    def test_placeholders_are_the_same(self):
        for language, words in self.all.items():
            for key, text in words.items():
                self.assertEqual(placeholders(text), placeholders(self.all["pt-BR"][key]), f"{key} in {language}")

    def test_plurals_are_whole(self):
        for key in self.keys:
            if key.rpartition(".")[2] == "one":
                self.assertIn(stem(key) + ".other", self.keys)

    def test_what_is_said_is_there(self):
        self.assertGreater(len(self.used), 50)
        missing = {key: name for key, name in self.used.items()
                   if key not in self.keys and f"{key}.other" not in self.keys}
        self.assertEqual(missing, {})

    def test_what_is_put_together_is_there(self):
        self.assertTrue(self.patterns)
        stems = {stem(key) for key in self.keys} | self.keys
        missing = {template: name for pattern, (name, template) in self.patterns.items()
                   if pattern.startswith(tuple(re.escape(key.split(".")[0]) for key in self.keys))
                   and not any(re.fullmatch(pattern, key) for key in stems)}
        self.assertEqual(missing, {})

    def test_what_is_there_is_said(self):
        unsaid = [key for key in sorted(self.keys)
                  if key not in self.used and stem(key) not in self.used
                  and not any(re.fullmatch(pattern, one) for pattern in self.patterns for one in (key, stem(key)))]
        self.assertEqual(unsaid, [])


if __name__ == "__main__":
    unittest.main()
