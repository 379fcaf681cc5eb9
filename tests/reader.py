"""A reader of the documentation: types each command of a page in a directory of its own, and looks at what comes.

`glan` runs in this process, other programs in a shell. A few things are not as the page has them:

    servers        every address on this machine, and OpenAI's, Azure's and Anthropic's, is the test's own server
    prices         OpenAI's models cost what GLAN_PRICE_IN and GLAN_PRICE_OUT say, as a server has no list price
    sizes          `disciplines.txt` holds three disciplines, a round two questions where the page says no number,
                   --recipe large and paper are debug, --num-pairs is at most 20, --holdout 2
    batches        are sent and looked for at once, not every minute
    clusters       --ray auto is off, and /shared is a folder of the page's directory
    plan           is none of these: it sends nothing, so it runs as written, with the whole disciplines.txt
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from dspy.lm15 import Request, Response

from benchmarks.batch_server import BatchServer
from benchmarks.loopback import Loopback
from glan_dspy.cli.main import run
from glan_dspy.engines import batch_desk
from glan_dspy.engines.rehearsal import RehearsalEngine
from tests.engines.test_provider import Anthropic
from tests.optimize.teachable import School
from tests.pages import ROOT, Command
from tests.processes import command

PROGRAMS = frozenset({"cat", "cp", "head", "ls", "mkdir", "printf", "python"})
"""Besides `glan`: small programs that every reader has."""

SUBSTITUTES = {
    "OPENAI_BASE_URL": "the test's server",
    "GLAN_PRICE_IN": '["gpt-4o-mini=0.15", "gpt-4o=2.5"]',
    "GLAN_PRICE_OUT": '["gpt-4o-mini=0.6", "gpt-4o=10"]',
    "GLAN_NUM_QUESTIONS_PER_ITERATION": "2",
}
"""Variables of a page's commands, but for `glan plan`."""

FEW = "# Natural Science\nOptics\nBotany\nPhysics\n"
MOST = {"--num-pairs": 20, "--holdout": 2}
ADDRESS = r"http://(?:localhost|127\.0\.0\.1):\d+|https://[\w-]+\.openai\.azure\.com"


class Models:
    """The rehearsal under every name, but for the models that can be taught."""

    def __init__(self) -> None:
        self.rehearsal, self.school = RehearsalEngine(), School()

    async def complete(self, request: Request) -> Response:
        taught = request.model in ("pupil", "reflector", "examiner")
        return await (self.school if taught else self.rehearsal).complete(request)


class Server(Loopback):
    """What a page may ask: chat completions, batches and Anthropic's messages, written by simulated models."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Models()  # type: ignore[assignment]

    def app(self) -> web.Application:
        app = super().app()
        for route in BatchServer().app().router.routes():
            if route.resource and route.method != "HEAD" and route.resource.canonical != "/counts":
                app.router.add_route(route.method, route.resource.canonical, route.handler)
        app.router.add_post("/v1/messages", Anthropic().messages)
        return app


class Reader:
    """Types commands in the current directory; what `export` changes lasts to the end of the page."""

    def __init__(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.monkeypatch = address.removesuffix("/v1"), monkeypatch
        Path("disciplines.txt").write_text(FEW, encoding="utf-8")
        quick = batch_desk.Pace(settle=0.1, first_look=0.05, longest_look=0.1, doubt=0.5, room=0.1, longest_room=0.2)
        monkeypatch.setattr(batch_desk, "PACE", quick)
        for name, value in {
            **SUBSTITUTES,
            "OPENAI_BASE_URL": address,
            "ANTHROPIC_BASE_URL": self.server,
            "HF_TOKEN": "",
            "HF_HOME": str(Path.cwd()),
            "COLUMNS": "130",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }.items():
            monkeypatch.setenv(name, value)

    def type(self, typing: Command) -> str:
        """What it prints, stdout and stderr as they come. Fails where the exit code is not the one the page says."""
        said, code = "", 0
        for part in parts(typing.text):
            printed, code = self.do(part)
            said += printed
        assert code == typing.code, f"line {typing.line}: {typing.text}\nexit code {code}\n{said}"
        return said

    def do(self, part: str) -> tuple[str, int]:
        words = shlex.split(re.sub(ADDRESS, self.server, part), comments=True)
        if words[0] == "export":
            for word in words[1:]:
                self.monkeypatch.setenv(*word.split("=", 1))
            return "", 0
        if words[0] == "unset":
            for word in words[1:]:
                self.monkeypatch.delenv(word)
            return "", 0
        with self.monkeypatch.context() as until_it_ends:
            while re.match(r"[A-Z_]+=", words[0]):
                until_it_ends.setenv(*words.pop(0).split("=", 1))
            if words[:2] == ["uv", "run"]:
                words = words[2:]
            if words[0] == "glan":
                return self.glan(words[1:])
        assert words[0] in PROGRAMS, f"nobody says how the test is to run `{part}`: see PROGRAMS and SKIPPED"
        return in_shell(part)

    def glan(self, words: list[str]) -> tuple[str, int]:
        if words[0] == "plan":
            return self.plan(words)
        if (
            words[0] == "push"
        ):  # whoever runs the tests may be logged in, which a fresh process with its own home is not
            return in_shell(shlex.join(command(*words)))
        return typed(smaller(words))

    def plan(self, words: list[str]) -> tuple[str, int]:
        with self.monkeypatch.context() as as_written:
            for name in SUBSTITUTES:
                as_written.delenv(name, raising=False)
            Path("disciplines.txt").write_bytes((ROOT / "disciplines.txt").read_bytes())
            try:
                return typed(words)
            finally:
                Path("disciplines.txt").write_text(FEW, encoding="utf-8")


def parts(text: str) -> Iterator[str]:
    """The commands of a line that `&&` puts together."""
    return (part.strip() for part in text.split(" && "))


def typed(words: list[str]) -> tuple[str, int]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run(words)
    return said.getvalue(), code


def in_shell(text: str) -> tuple[str, int]:
    done = subprocess.run(["bash", "-c", text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    return done.stdout, done.returncode


def smaller(words: list[str]) -> list[str]:
    """The command with the sizes of a test."""
    words = [re.sub(r"^/shared/", "shared/", word) for word in words]
    for at, word in enumerate(words[:-1]):
        if word == "--recipe" and words[at + 1] in ("large", "paper"):
            words[at + 1] = "debug"
        if word == "--ray":
            words[at + 1] = "off"
        if word in MOST and words[at + 1].isdigit():
            words[at + 1] = str(min(int(words[at + 1]), MOST[word]))
    return words


def missing(shown: tuple[str, ...], said: str) -> str | None:
    """The first of the shown lines that was not said behind those before it; None where all were.

    `…` in a line stands for anything, and a line of nothing else for any lines.
    """
    lines = iter(said.splitlines())
    for line in shown:
        pattern = ".*".join(map(re.escape, line.strip().split("…")))
        if not any(re.fullmatch(pattern, other.strip()) for other in lines):
            return line
    return None
