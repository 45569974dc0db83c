#!/usr/bin/env python3
"""How long the dashboard's pages take until they can be used, in a headless Chromium.

    bench/pages.py BASE TOKEN PAGE…      milliseconds, median of ROUNDS (5); each page is opened anew,
                                         with the browser's cache as somebody has it who comes every day
"""

import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "browser"))

from browser import Browser  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))


def main():
    base, token, *pages = sys.argv[1:]
    b = Browser()
    try:
        b.driver.get(base)
        b.until("!!document.querySelector('.login:not([aria-busy]) #token')", "no login")
        b.one("#token").send_keys(token)
        b.one("main button").click()
        b.until("!document.querySelector('main input#token')", "not logged in")
        for page in pages:
            b.open(base, page)
            times = [b.open(base, page) for _ in range(ROUNDS)]
            failed = b.failed_panels()
            print(f"{page.split('?')[0]:12} {statistics.median(times):6.0f} ms   {min(times):.0f} to {max(times):.0f}"
                  + (f"   FAILED: {', '.join(failed)}" if failed else ""), flush=True)
    finally:
        b.close()


main()
