"""The page's modules in node, the page in Chromium, and rounds to show."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from settlement.report.page import page

ROOT = Path(__file__).resolve().parents[4]
MODULES = ROOT / "settlement" / "report" / "page" / "modules"
AXE = ROOT / ".tools" / "axe" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def javascript():
    """Calls a function of modules.mjs on a list of cases."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; it is needed to test the page's modules, not to run")

    def call(name, cases):
        command = [node, str(Path(__file__).with_name("modules.mjs")), str(MODULES)]
        given = json.dumps({"name": name, "cases": cases})
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests: the machine's own, nothing is downloaded."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if program is None:
        pytest.skip("Chromium is not installed; scripts/install_browser.py installs Debian's")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


SETTLE_MS = 400
"""What the page needs until slow drawings are there, with room to spare."""


@pytest.fixture
def show(chromium, tmp_path):
    """Opens a round's page from the file system with the network off: (page, what went wrong)."""
    contexts = []

    def opened(content, *, width=1280, dark=False, address=""):
        path = tmp_path / f"{len(contexts)}.html"
        text = content if isinstance(content, str) else page(content)
        path.write_text(text, encoding="utf-8")
        scheme = "dark" if dark else "light"
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        shown = context.new_page()
        trouble = []
        shown.on("console", lambda told: trouble.append(told.text))
        shown.on("pageerror", lambda error: trouble.append(str(error)))
        requests = []
        shown.on("request", lambda request: requests.append(request.url))
        shown.goto(path.as_uri() + address)
        shown.wait_for_selector("#verdict.right, #verdict.wrong")
        shown.wait_for_timeout(SETTLE_MS)
        assert requests == [path.as_uri()]  # what follows # is no part of a request
        return shown, trouble

    yield opened
    for context in contexts:
        context.close()


OVERLAPS = """() => {
  const faults = [];
  const shown = (box) => box.width > 0 && box.height > 0;
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")]
      .map((text) => ({ told: text.textContent, box: text.getBoundingClientRect() }))
      .filter(({ box }) => shown(box));
    for (const { told, box } of texts) {
      const out = Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top - 3,
                           box.bottom - frame.bottom - 3);
      if (out > 1) faults.push(`cut by ${out.toFixed(1)}: ${told}`);
    }
    for (let a = 0; a < texts.length; a += 1) {
      for (let b = a + 1; b < texts.length; b += 1) {
        const [one, two] = [texts[a].box, texts[b].box];
        const wide = Math.min(one.right, two.right) - Math.max(one.left, two.left);
        const high = Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top);
        if (wide > 1 && high > 3) faults.push(`overlap: ${texts[a].told} / ${texts[b].told}`);
      }
    }
  }
  for (const element of document.querySelectorAll("main *")) {
    if (element.closest(".scroll") || element.closest("svg")) continue;
    const box = element.getBoundingClientRect();
    const told = element.outerHTML.slice(0, 80);
    if (shown(box) && box.right > innerWidth + 1) faults.push(`beyond the edge: ${told}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page scrolls sideways");
  return faults;
}"""


def serious_faults(shown):
    """What axe-core finds on a page that keeps people from using it."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed; scripts/install_browser.py puts it into .tools")
    # The page's policy allows no other script, so the tool comes in through the debugger.
    shown.evaluate(AXE.read_text())
    found = shown.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(found["passes"]) > 10
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:120]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
