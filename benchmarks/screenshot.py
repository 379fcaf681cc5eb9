"""docs/report.png, the picture of a report: of a rehearsal over disciplines.txt in which some things fall.

    uv run python -m benchmarks.screenshot
    uv run python -m benchmarks.screenshot --to /tmp/dark.png --dark --height 0      # the whole page

It needs Debian's chromium and chromium-driver. Fonts are those of the machine: with fonts-inter and fonts-urw-base35 it
looks as in the README.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.browser import Browser
from glan_dspy.cli.main import run as glan

ROOT = Path(__file__).parents[1]
MODEL = "rehearsal?duplicate=0.05&wrong_language=0.03&refuse=0.02&truncate=0.02"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "report.png")
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--height", type=int, default=1500, help="of the upper part that is taken; 0: all of it")
    parser.add_argument("--dark", action="store_true")
    told = parser.parse_args()
    to = told.to.absolute()
    with tempfile.TemporaryDirectory(prefix="screenshot-") as folder:
        os.chdir(folder)  # so that the page names runs/first, as it does for a reader
        disciplines = ("--disciplines-filepath", str(ROOT / "disciplines.txt"))
        words = ("--model-name", MODEL, "--language", "English", "-o", "runs/first")
        if glan(("generate", *disciplines, *words)) or glan(("report", "runs/first", "-o", "report.html")):
            raise SystemExit("no report to take a picture of")
        browser = Browser(Path(folder, "profile"))
        browser.open(Path(folder, "report.html"), width=told.width, height=1000, dark=told.dark)
        browser.picture(to, told.height or None)
        browser.close()
        os.chdir(ROOT)
    print(f"{to}: {to.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
