"""Each benchmark and each check that make runs can be started, which is seen at what it says of itself."""

import re
import subprocess
import sys

from tools.guide import ROOT

ASK = """
import contextlib, io, runpy, sys

for name in sys.argv[1:]:
    printed, code = io.StringIO(), "none: it ran on"
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(printed):
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code
    if code not in (None, 0) or not printed.getvalue().lower().startswith("usage: "):
        sys.exit(f"{name}: exit code {code}, said {printed.getvalue()!r}")
"""


def programs() -> list[str]:
    """The modules of benchmarks/ that can be run, and those of tests/ that the Makefile runs."""
    benches = [
        f"benchmarks.{path.stem}"
        for path in sorted((ROOT / "benchmarks").glob("*.py"))
        if "__main__" in path.read_text("utf-8")
    ]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return benches + sorted(set(re.findall(r"python -m (tests\.[\w.]+)", makefile)))


def test_all_answer_help() -> None:
    """None of them breaks when it is imported, or starts its work when it is only asked for help."""
    found = programs()
    assert {"benchmarks.writes", "tests.faults.soak", "tests.scale.check"} <= set(found)
    asked = subprocess.run(
        [sys.executable, "-c", ASK, *found], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert asked.returncode == 0, asked.stderr
