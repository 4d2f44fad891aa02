"""The page's modules in node, the page in Chromium, and rounds to show."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

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
