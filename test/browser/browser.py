"""One headless Chromium, and what can be asked of the page that it shows."""

import json
import os
import tempfile

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 60
DESK = (1280, 900)
PHONE = (360, 740)

# What the page complains of is kept from before its own scripts run.
NOTE_COMPLAINTS = """
window.complaints = [];
addEventListener('securitypolicyviolation', (e) => complaints.push('CSP: ' + e.violatedDirective + ' ' + e.blockedURI));
addEventListener('error', (e) => complaints.push('error: ' + (e.message || (e.target && e.target.src))), true);
addEventListener('unhandledrejection', (e) => complaints.push('rejected: ' + e.reason));
const complain = console.error.bind(console);
console.error = (...args) => { complaints.push('console: ' + args.join(' ')); complain(...args); };
window.isReady = () => !!document.querySelector('main section') && !document.querySelector('main [aria-busy=true], main .loading')
    && [...document.querySelectorAll('.plot')].every((p) => p.querySelector('canvas'));
(function look() {
    if (!isReady()) requestAnimationFrame(look);
    else window.readyAt = performance.now();
})();
"""


class Browser:
    def __init__(self, language="pt-BR"):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        # the pages are the door's on this machine: nothing there that a sandbox would keep in
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         "--no-first-run", "--no-proxy-server", "--disable-background-networking", f"--lang={language}",
                         f"--accept-lang={language}", "--user-data-dir=" + tempfile.mkdtemp(prefix="chromium.")):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_script_timeout(SECONDS)
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=NOTE_COMPLAINTS)
        self.size(*DESK)

    def close(self):
        self.driver.quit()

    def cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    # ---- how it looks at pages ---------------------------------------------------------------

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def scheme(self, value):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value},
                                                         {"name": "prefers-reduced-motion", "value": "reduce"}])

    def scripts(self, allowed):
        self.cdp("Emulation.setScriptExecutionDisabled", value=not allowed)

    # ---- what is there -----------------------------------------------------------------------

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def run_async(self, body):
        """What an async function with this body returns; what it throws fails the test."""
        told = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            f"(async () => {{ {body} }})().then((value) => done({{value}}), (error) => done({{error: String(error.stack || error)}}));")
        if "error" in told:
            raise AssertionError(told["error"])
        return told["value"]

    def until(self, script, what, *arguments):
        try:
            return WebDriverWait(self.driver, SECONDS, poll_frequency=0.05).until(lambda driver: driver.execute_script("return " + script, *arguments))
        except Exception as error:
            raise AssertionError(f"{what}: {script}; the page says: {self.text('body')[:2000]}") from error

    def wait(self, condition):
        """Until it is true of the driver, whatever page is on its way."""
        gone = [NoSuchElementException, StaleElementReferenceException]
        return WebDriverWait(self.driver, SECONDS, poll_frequency=0.05, ignored_exceptions=gone).until(condition)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def blocked(self, *urls):
        """From now on the browser gets nothing from addresses like these."""
        self.cdp("Network.enable")
        self.cdp("Network.setBlockedURLs", urls=list(urls))

    def press(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*[getattr(Keys, key, key) for key in keys]).perform()

    # ---- going places ------------------------------------------------------------------------

    def open(self, base, page):
        """Shows a page from scratch, and says after how many milliseconds nothing of it was loading."""
        self.driver.get("about:blank")
        self.driver.get(f"{base}#/{page}")
        return self.ready()

    def ready(self):
        self.until("isReady()", "the page is not ready")
        return self.until("window.readyAt", "the page was not ready")

    # ---- what is wrong with it ---------------------------------------------------------------

    def complaints(self):
        """Since the last time: what the page and the browser have complained of."""
        own = self.run("const all = window.complaints ?? []; window.complaints = []; return all")
        logged = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        return own + logged

    def failed_panels(self):
        return self.run("return [...document.querySelectorAll('.failed h2')].map((e) => e.textContent)")

    def overflow(self):
        """By how many pixels the page is wider than its window, and what is."""
        return self.run("""
            const width = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= width) return [];
            return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > width + 1
                && !e.closest('.scroll, .plot')).map((e) => e.tagName + '.' + e.className).concat('the page');""")

    def small(self):
        """What can be pressed and is smaller than a finger (44 pixels)."""
        return self.run("""
            return [...document.querySelectorAll('a, button, input, select, summary')].filter((e) => e.checkVisibility() && !e.closest('.skip'))
                .map((e) => [e, e.getBoundingClientRect()]).filter(([, box]) => box.width < 44 || box.height < 44)
                .map(([e, box]) => `${e.tagName} ${Math.round(box.width)}x${Math.round(box.height)}: ${e.textContent.slice(0, 60)}`);""")

    def cut(self):
        """Texts in tables that stick out of their cells, over their neighbours."""
        return self.run("""
            return [...document.querySelectorAll('main th > span, main td > span')].filter((e) => e.checkVisibility()
                && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1).map((e) => e.textContent.slice(0, 80));""")

    def axe(self):
        """What axe-core finds: rule, and where."""
        if not self.run("return !!window.axe"):
            with open(os.path.join(HERE, "axe.min.js"), encoding="utf-8") as file:
                self.driver.execute_script(file.read() + "; window.axe = window.axe || axe;")
        found = self.run_async("const r = await axe.run(document, {resultTypes: ['violations']}); "
                               "return r.violations.map((v) => [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + ' ' + n.failureSummary)])")
        return [json.dumps(violation, ensure_ascii=False) for violation in found]
