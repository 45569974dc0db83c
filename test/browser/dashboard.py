#!/usr/bin/env python3
"""The dashboard in a browser, against a door: prints TAP for the test that has started it.

    test/browser/dashboard.py FACTS.json

FACTS: base (the door's address), token (shows people), masked (does not), pages (each to be looked
at), numbers (by data-figure, the text that Agora must show), hostile (texts that pages must show as
they are), says (by page, what else must be read there).
"""

import json
import sys

from browser import DESK, PHONE, Browser

COUNT = 0
# the one that the scripts have made of what was there before them
LOGIN = "!!document.querySelector('.login:not([aria-busy]) #token')"


def ok(passed, name, *details):
    global COUNT
    COUNT += 1
    print(f"{'ok' if passed else 'not ok'} {COUNT} - {name}", flush=True)
    if not passed:
        for detail in details:
            print("# " + str(detail).replace("\n", "\n# "), flush=True)
    return passed


def none(found, name):
    return ok(not found, name, *found)


def same(got, expected, name):
    return ok(got == expected, name, f"got      {got!r}", f"expected {expected!r}")


def log_in(b, base, token):
    b.driver.get(base)
    b.until(LOGIN, "no login")
    b.one("#token").send_keys(token)
    b.one("main button").click()
    b.until("!document.querySelector('main input#token')", "not logged in")
    b.ready()


# ---- before there are scripts ------------------------------------------------------------------


def without_scripts(b, base, token):
    b.scripts(False)
    b.driver.get(base)
    same(b.one("h1").text, "Entrar", "without scripts there is a page")
    same([a.text for a in b.all("nav[aria-label] a")], ["Agora", "Execuções", "Erros", "Cadências", "Pessoa", "Agenda"], "with its navigation")
    b.one("#token").send_keys("wrong wrong wrong wrong")
    b.one("main button").click()
    ok(b.wait(lambda driver: "recusado" in b.one("h1").text), "and a form: a wrong code is refused")
    b.driver.get(base)
    b.one("#token").send_keys(token)
    b.one("main button").click()
    b.wait(lambda driver: driver.get_cookies())
    same(b.driver.current_url.rstrip("/"), base.rstrip("/"), "a right one leads back")
    b.scripts(True)
    b.driver.get(base)
    b.ready()
    same(b.one("h1").text, "Agora", "and is a session once there are scripts")
    b.one("#controles button").click()
    b.until("!!document.querySelector('main input#token')", "not logged out")
    ok(True, "which ends when it is told to")
    # a page that nobody may see yet is refused, and the browser notes that
    none([c for c in b.complaints() if "401" not in c], "nothing to complain of")


def log_in_by_keyboard(b, base, token):
    b.driver.get(base)
    b.until(LOGIN, "no login")
    none(b.axe(), "login: axe-core")
    b.press("TAB")
    same(b.run("return document.activeElement.className"), "skip", "the first stop is the link to the content")
    b.press("ENTER")
    same(b.run("return document.activeElement.id"), "conteudo", "which leads there")
    b.press("TAB")
    same(b.run("return document.activeElement.id"), "token", "and then to the form")
    b.press("not a code of anybody", "ENTER")
    b.until("document.querySelector('[role=alert]').textContent !== ''", "a wrong code")
    same(b.text("[role=alert]"), "Este código não é válido.", "a wrong code is said to be that")
    same(b.run("return document.activeElement.id"), "token", "and the reader stays at it")
    b.press(token, "ENTER")
    b.until("!document.querySelector('main input#token')", "not logged in")
    b.ready()
    same(b.one("h1").text, "Agora", "logged in by keyboard alone")
    b.complaints()


# ---- each page ---------------------------------------------------------------------------------


def looks(b, base, page):
    name = page.split("?")[0]
    ms = b.open(base, page)
    print(f"# {name}: usable after {ms:.0f} ms", flush=True)
    none(b.failed_panels(), f"{name}: no panel has failed")
    same(len(b.all("h1")), 1, f"{name}: one heading")
    ok(b.all("nav a[aria-current=page]"), f"{name}: its place in the navigation is marked")
    for scheme in ("light", "dark"):
        b.scheme(scheme)
        for where, size in (("desk", DESK), ("phone", PHONE)):
            b.size(*size)
            b.ready()
            none(b.overflow(), f"{name}: fits a {where}, {scheme}")
            none(b.axe(), f"{name}: axe-core, {where}, {scheme}")
        none(b.small(), f"{name}: a finger hits what it means, {scheme}")
        none(b.cut(), f"{name}: no text lies over another, {scheme}")
    b.size(*DESK)
    b.scheme("light")
    none(b.cut(), f"{name}: nor at a desk")
    words(b, name)
    keyboard(b, name)
    none(b.complaints(), f"{name}: nothing to complain of")


# Nobody who sells calls functions, and times are written as people write them.
TECHNICAL = r"/cadence_\w+\(|\b\d{4}-\d\d-\d\d\b|\bNaN\b|undefined|\[object|\bnull\b|Invalid Date/"


def words(b, name):
    same(b.run(f"return document.querySelector('main').innerText.match({TECHNICAL})?.[0] ?? null"), None, f"{name}: in words of people")


# The stops of the Tab key from the top of the page to its end: what each is, and whether it can be seen to be there.
STOPS = """
    const e = document.activeElement;
    if (e === document.body || e === document.documentElement) return null;
    const style = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    return {name: e.tagName + ' ' + (e.textContent || e.id).slice(0, 40), ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
            seen: box.bottom > 0 && box.top < innerHeight, i: [...document.querySelectorAll('*')].indexOf(e)};
"""


def keyboard(b, name):
    b.run("document.activeElement.blur(); scrollTo(0, 0); getSelection().removeAllRanges()")
    reachable = b.run("""return [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')]
        .filter((e) => e.checkVisibility()).map((e) => [...document.querySelectorAll('*')].indexOf(e))""")
    stops = []
    for _ in range(min(len(reachable), 40)):
        b.press("TAB")
        stop = b.run(STOPS)
        if stop is None:
            break
        stops.append(stop)
    same([stop["i"] for stop in stops], reachable[:40], f"{name}: the Tab key leads to all that can be pressed, in order")
    none([stop["name"] for stop in stops if not stop["ring"]], f"{name}: and shows where it is")
    none([stop["name"] for stop in stops if not stop["seen"]], f"{name}: in sight")


def numbers(b, base, expected):
    b.open(base, "agora")
    for figure, value in expected.items():
        shown = b.run("return document.querySelector(`[data-figure=\"${arguments[0]}\"] dd`).firstChild.textContent", figure)
        same(shown, str(value), f"{figure} is what a plain count says")


def twins(b, base):
    """A curve's table has what the curve shows, and stays open while the numbers are asked for again."""
    b.open(base, "agora")
    summary = b.one(".chart details summary")
    b.run("arguments[0].focus()", summary)
    b.press("ENTER")
    b.until("document.querySelectorAll('.chart details[open] tbody tr').length > 0", "no table")
    total = b.run("return [...document.querySelectorAll('.chart details tbody tr')].reduce((n, r) => n + Number(r.cells[1].innerText.replace(/\\D/g, '')), 0)")
    said = b.text(".readout").split()[0].replace(".", "")
    same(str(total), said, "the curve's table adds up to what the curve says")
    b.run("document.querySelector('.chart details .scroll').scrollTop = 120")
    b.run("""
        const real = window.fetch;
        document.querySelector('.chart details').stale = true;
        window.fetch = async (url, options) => {
            const answer = await real(url, {...options, headers: {}});
            if (!String(url).startsWith('/api/agora')) return answer;
            return new Response(JSON.stringify({...await answer.json(), sent_today: 987654}), {status: 200});
        };
        document.dispatchEvent(new Event('visibilitychange'));""")
    b.until("document.querySelector('[data-figure=\"agora.sent_today\"] dd').textContent.startsWith('987.654')", "not drawn again")
    b.until("!document.querySelector('.chart details').stale && document.querySelectorAll('.chart details[open] tbody tr').length > 0", "closed again")
    same(b.run("return document.activeElement.tagName"), "SUMMARY", "a page that is drawn again keeps the reader's place")
    same(b.run("return document.querySelector('.chart details .scroll').scrollTop"), min(120, b.run(
        "const s = document.querySelector('.chart details .scroll'); return s.scrollHeight - s.clientHeight")), "also within a table")


def hostile(b, base, facts):
    for page, texts in facts["hostile"].items():
        b.open(base, page)
        for text in texts:
            ok(b.run("return document.querySelector('main').textContent.includes(arguments[0])", text),
               f"{page.split('?')[0]}: shown as it is: {text!r}", b.text("main")[:1500])
    same(b.run("return [typeof window.hacked, document.querySelectorAll('main script, main img, main iframe').length]"),
         ["undefined", 0], "and nothing of it is run")
    none(b.complaints(), "or complained of")


def says(b, base, facts):
    for page, texts in facts["says"].items():
        b.open(base, page)
        for text in texts:
            ok(text in b.text("main"), f"{page.split('?')[0]}: says {text!r}", b.text("main")[:1500])


def masked(b, base, facts):
    log_in(b, base, facts["masked"])
    for page in facts["hostile"]:
        b.open(base, page)
        for secret in facts["secrets"]:
            ok(secret not in b.run("return document.documentElement.outerHTML"), f"{page.split('?')[0]}: not shown to everybody: {secret}")
    ok("encobertos" in b.text("footer"), "which is said")
    b.complaints()


def preferences(b, base):
    b.open(base, "agora")
    b.run("const s = document.getElementById('escolha-language'); s.value = 'en'; s.dispatchEvent(new Event('change'))")
    b.until("document.querySelector('h1').textContent === 'Now'", "no English")
    same(b.run("return document.documentElement.lang"), "en", "in English")
    ok(not b.run("return /[a-z]+\\.[a-z_]+\\.[a-z_]+/.test(document.querySelector('main').innerText)"), "with all of its words", b.text("main"))
    b.driver.refresh()
    b.ready()
    same(b.one("h1").text, "Now", "also the next time")
    light = b.run("return getComputedStyle(document.body).backgroundColor")
    b.run("const s = document.getElementById('escolha-theme'); s.value = 'dark'; s.dispatchEvent(new Event('change'))")
    ok(b.run("return getComputedStyle(document.body).backgroundColor") != light, "a dark page for who wants one")
    b.run("localStorage.clear()")


# ---- how it asks -------------------------------------------------------------------------------

# api.js with a clock and a network of the test's own: nothing waits.
ASKING = """
    const {watch} = await import('/static/api.js');
    const real = {fetch: window.fetch, setTimeout: window.setTimeout};
    const asked = [];
    const timers = [];
    const seen = [];
    let answers = [];
    let hidden = false;
    Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
    window.fetch = async (url, options) => { asked.push(options.headers['If-None-Match'] ?? null); const a = answers.shift(); if (a instanceof Error) throw a; return a; };
    window.setTimeout = (callback, ms) => { timers.push([callback, ms]); return 0; };
    const settle = () => new Promise((done) => real.setTimeout.call(window, done, 0));
    const tick = async () => { await settle(); await settle(); const [callback, ms] = timers.pop(); callback(); await settle(); await settle(); return ms; };
    const good = (n, tag) => new Response(JSON.stringify({n}), {status: 200, headers: {ETag: tag}});
    const end = new AbortController();
    answers = [good(1, '"a"'), new Response(null, {status: 304}), good(2, '"b"'), new TypeError('no network'),
               new Response('{"error": {"code": "57014", "message": "too slow"}}', {status: 500}), new TypeError('no network'), good(2, '"b"')];
    watch('/api/x', {signal: end.signal, onData: (d) => seen.push(d.n), onSame: () => seen.push('same'), onError: (e) => seen.push(e.code ?? e.name)});
    const waits = [];
    for (let i = 0; i < 6; i++) waits.push(await tick());
    await settle();
    const polled = asked.length;
    hidden = true;
    await tick();
    const whileHidden = asked.length - polled;
    hidden = false;
    answers = [good(3, '"c"')];
    document.dispatchEvent(new Event('visibilitychange'));
    await settle(); await settle();
    const back = asked.length - polled;
    end.abort();
    const left = timers.length;
    document.dispatchEvent(new Event('visibilitychange'));
    await settle();
    const afterwards = asked.length - polled - back;
    Object.assign(window, real);
    delete document.hidden;
    return {asked, seen, waits, whileHidden, back, afterwards};
"""


def asking(b, base):
    b.open(base, "agenda")
    told = b.run_async(ASKING)
    same(told["seen"], [1, "same", 2, "TypeError", "57014", "TypeError", 2, 3], "an answer is drawn when it is another, and what fails is said")
    same(told["asked"], [None, '"a"', '"a"', '"b"', None, None, None, '"b"'], "what is known is named, and asked for anew after a failure")
    same(told["waits"], [5000, 5000, 5000, 5000, 5000, 30000], "every five seconds, and slower where it keeps failing")
    same([told["whileHidden"], told["back"], told["afterwards"]], [0, 1, 0], "not while hidden, at once when seen again, never when left")


def one_fails(b, base):
    """A panel whose question fails says so; the others stay, and it comes back."""
    b.open(base, "agora")
    b.run("""
        const real = window.fetch;
        window.heal = () => { window.fetch = real; };
        window.fetch = (url, options) => (String(url).startsWith('/api/servidores')
            ? Promise.resolve(new Response('{"error": {"code": "57014", "message": "canceling statement"}}', {status: 500})) : real(url, options));
        document.dispatchEvent(new Event('visibilitychange'));""")
    b.until("document.querySelectorAll('.failed').length === 1", "no panel fails")
    same(b.failed_panels(), ["Remetentes"], "a panel that fails is marked")
    ok("57014" in b.text(".failed .notice") and "canceling" not in b.text(".failed .notice") and b.all(".failed .cards .card"), "says why, and keeps what it had", b.text(".failed"))
    none(b.axe(), "axe-core, while one has failed")
    b.run("window.heal(); document.dispatchEvent(new Event('visibilitychange'));")
    b.until("document.querySelectorAll('.failed').length === 0", "it does not come back")
    same(b.text(".card .notice"), "", "and is as before when it can be")
    b.complaints()


def nobody(b, base):
    """Who is not there is said once, not by each panel that would tell of them."""
    b.open(base, "pessoa?run=00000000-0000-4000-8000-000000000000")
    same(b.run("return [...document.querySelectorAll('main .notice')].map((e) => e.innerText).filter(Boolean)"), ["Não existe, ou não existe mais."],
         "one message for a person who is not there")
    same(b.failed_panels(), ["Quem é"], "in the first of their panels")
    same([h2.text for h2 in b.all("main h2") if h2.is_displayed()], ["Procurar uma pessoa", "Quem é"], "without the others")
    none(b.axe(), "axe-core, where somebody is not there")
    # the browser notes what is not there
    none([c for c in b.complaints() if "404" not in c], "nothing to complain of")


def comes_back(b, base):
    """The server goes and comes, and nobody has to do anything."""
    b.open(base, "agenda")
    b.blocked("*/api/*")
    b.driver.refresh()
    b.until("document.querySelector('main .notice')?.textContent.includes('Sem conexão')", "it does not say so")
    ok(not b.all("#token"), "who has a session is not asked for a code because the server is away")
    b.run("location.hash = '#/erros'")
    ok(not b.all("#token"), "nor when they go elsewhere")
    none(b.axe(), "axe-core, while one waits")
    b.blocked()
    b.until("document.querySelector('h1').textContent === 'Erros'", "it does not go on")
    b.ready()
    ok(True, "and goes on by itself, where they wanted to be")
    b.complaints()
    asks = b.run_async("""
        const {watch} = await import('/static/api.js');
        const real = {fetch: window.fetch, setTimeout: window.setTimeout};
        const told = [];
        const settle = () => new Promise((done) => real.setTimeout.call(window, done, 0));
        for (const status of [503, 404]) {
            const timers = [];
            const end = new AbortController();
            window.fetch = async () => new Response('{}', {status: timers.length ? 200 : status});
            window.setTimeout = (callback, ms) => { timers.push(callback); return 0; };
            watch('/api/x', {signal: end.signal, poll: false, onData: () => told.push('good'), onError: (e) => told.push(e.status)});
            await settle(); await settle();
            timers[0]?.();
            await settle(); await settle();
            told.push(timers.length);
            end.abort();
        }
        Object.assign(window, real);
        return told;""")
    same(asks, [503, "good", 1, 404, 0], "what is asked once is asked again while the database is away, and not when there is no such thing")


def session_ends(b, base, token):
    b.open(base, "erros?days=30")
    b.driver.delete_all_cookies()
    b.run("document.dispatchEvent(new Event('visibilitychange'))")
    b.until("!!document.querySelector('main input#token')", "still there")
    same(b.text("[role=alert]"), "O acesso terminou. Entre de novo.", "a session that has ended leads back to the login")
    b.one("#token").send_keys(token)
    b.one("main button").click()
    b.until("!document.querySelector('main input#token')", "not logged in")
    b.ready()
    same([b.one("h1").text, b.text("main [aria-current]")], ["Erros", "30 dias"], "and from there to where they were, with what they had chosen")
    b.driver.delete_all_cookies()
    b.complaints()


def moving(b, base):
    """By the navigation, the browser's own buttons and the keyboard."""
    b.open(base, "agora")
    b.one("nav a[href='#/execucoes']").click()
    b.ready()
    same([b.one("h1").text, b.driver.title], ["Execuções", "Execuções · Cadências"], "from page to page")
    same(b.run("return document.activeElement.id"), "conteudo", "the focus goes along")
    b.one("tbody a").click()
    b.ready()
    same(b.one("h1").text, "Execução", "to one execution")
    b.driver.back()
    b.ready()
    same(b.one("h1").text, "Execuções", "and back")
    older = b.all(".pager a")
    if ok(len(older) == 1, "there are older ones"):
        first = b.text("tbody tr")
        older[0].click()
        b.until("location.hash.includes('before=')", "no other page")
        b.ready()
        ok(b.text("tbody tr") != first, "which are others")
    none(b.complaints(), "nothing to complain of")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        facts = json.load(file)
    base = facts["base"]
    b = Browser()
    try:
        without_scripts(b, base, facts["token"])
        log_in_by_keyboard(b, base, facts["token"])
        for page in facts["pages"]:
            looks(b, base, page)
        numbers(b, base, facts["numbers"])
        twins(b, base)
        hostile(b, base, facts)
        says(b, base, facts)
        moving(b, base)
        preferences(b, base)
        asking(b, base)
        one_fails(b, base)
        nobody(b, base)
        comes_back(b, base)
        session_ends(b, base, facts["token"])
        masked(b, base, facts)
    except AssertionError as error:
        ok(False, "went on to the end", error)
    finally:
        b.close()
    print(f"1..{COUNT}")


main()
