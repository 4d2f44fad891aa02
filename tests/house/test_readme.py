"""The console blocks of the README print what they say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_console_blocks_of_the_readme_print_what_they_say():
    readme = (ROOT / "README.md").read_text()
    assert readme.count("```console\n") >= 2
    script = [sys.executable, str(ROOT / "scripts" / "update_readme.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
