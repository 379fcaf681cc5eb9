"""The form that an endpoint takes: found by a run's first call, kept in run.json, shown by doctor, forced by a flag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from benchmarks.loopback import reply_of, request_of
from glan_dspy.cli.main import run as glan
from glan_dspy.engines.rehearsal import RehearsalEngine
from glan_dspy.records import Discipline
from glan_dspy.run.generate import generate
from glan_dspy.run.store import Run
from glan_dspy.run.taxonomy import make_taxonomy
from glan_dspy.settings import Settings
from tests.bad_server import running
from tests.loopback_thread import rows

Json = dict[str, Any]


class LlamaCpp:
    """llama-cpp-python's server: HTTP 500 for json_schema, a schema inside json_object, no max_completion_tokens."""

    def __init__(self) -> None:
        self.engine = RehearsalEngine()
        self.bodies: list[Json] = []

    @property
    def refused(self) -> int:
        return sum(way_of(body) == "json_schema" for body in self.bodies)

    async def complete(self, http: web.Request) -> web.Response:
        body = orjson.loads(await http.read())
        self.bodies.append(body)
        if way_of(body) == "json_schema":
            text = "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'input': 'json_schema'}]"
            return web.json_response({"error": {"message": text, "type": "internal_server_error"}}, status=500)
        if schema := body.get("response_format", {}).get("schema"):
            body = {**body, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
        return web.json_response(reply_of(await self.engine.complete(request_of(body))))


def way_of(body: Json) -> str:
    return str(body.get("response_format", {}).get("type", "prompt"))


def settings(base_url: str, **changes: Any) -> Settings:
    return Settings(model_name="llama", base_url=base_url, language="English", num_iterations=1, **changes)


def test_a_run_finds_the_form_once_and_the_next_command_starts_from_it(tmp_path: Path) -> None:
    run, disciplines = Run(tmp_path / "run"), [Discipline(name=f"Science {n}") for n in range(4)]
    with running(server := LlamaCpp()) as base_url:
        outcome = generate(run, settings(base_url), disciplines[:3])
        assert outcome.tally.instructions == 3 * 2 * 5 and server.refused == 1
        assert run.about()["forms"] == {f"{base_url}|llama": {"structured": "json_object_schema"}}
        assert not any("error" in line for line in rows(run.path, "calls"))
        assert all("max_tokens" in body for body in server.bodies)
        generate(run, settings(base_url), disciplines)
        assert server.refused == 1 and "forms" in run.about()


def test_the_taxonomy_finds_it_too(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with running(server := LlamaCpp()) as base_url:
        make_taxonomy(run, settings(base_url, num_taxonomy_queries=5))
    assert server.refused == 1 and len(server.bodies) == 6
    assert list(run.about()["forms"].values()) == [{"structured": "json_object_schema"}]


def test_doctor_shows_the_form_and_the_flag_forces_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(LlamaCpp()) as base_url:
        words = ["doctor", "--model-name", "llama", "--base-url", base_url]
        assert glan(words) == 0
        assert "structured  yes (json_object_schema)" in capsys.readouterr().out
        assert glan([*words, "--structured", "json_schema"]) == 1
        assert "structured  no: " in capsys.readouterr().out


def test_a_form_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert glan(["doctor", "--model-name", "rehearsal", "--structured", "yaml"]) == 1
    assert "--structured 'yaml'" in capsys.readouterr().err
