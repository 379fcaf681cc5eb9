"""A server that repeats the headers of a request, keys and all, in whatever it says."""

from __future__ import annotations

import orjson
from aiohttp import web

from benchmarks.loopback import reply_of, request_of
from glan_dspy.engines.rehearsal import RehearsalEngine

STATUSES = ("400", "401", "402", "403", "404", "429", "500", "503")
OTHERS = ("html", "no choices", "in a model's words", "half a body", "redirect")


class Echo:
    """`kind`: a status, or one of the others; what is said before `after` requests is said as usual."""

    def __init__(self, kind: str, after: int = 0) -> None:
        self.kind, self.after = kind, after
        self.engine = RehearsalEngine()
        self.asked = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.complete)
        return app

    async def complete(self, http: web.Request) -> web.StreamResponse:
        self.asked += 1
        echo = " ".join(f"{name}: {value}" for name, value in http.headers.items())
        if self.asked <= self.after:
            return web.json_response(await self._reply(http))
        if self.kind in STATUSES:
            error = {"message": f"This is what you sent: {echo}", "code": echo, "param": echo, "type": echo}
            return web.json_response({"error": error}, status=int(self.kind), headers={"x-request-id": echo})
        match self.kind:
            case "html":
                return web.Response(text=f"<html>{echo}</html>", content_type="text/html")
            case "no choices":
                return web.json_response({"id": echo, "error": echo, "choices": []})
            case "half a body":
                response = web.StreamResponse(headers={"content-length": "9999", "content-type": "application/json"})
                await response.prepare(http)
                await response.write(f'{{"id": "{echo}'.encode())
                assert http.transport
                http.transport.close()
                return response
            case "redirect":
                return web.Response(status=307, headers={"location": f"http://127.0.0.1:9/{echo.replace(' ', '_')}"})
        reply = await self._reply(http)
        message = reply["choices"][0]["message"]
        if not message["content"].startswith("{"):
            message["content"] += f" And you sent {echo}."
        return web.json_response(reply)

    async def _reply(self, http: web.Request) -> dict:  # type: ignore[type-arg]
        return reply_of(await self.engine.complete(request_of(orjson.loads(await http.read()))))
