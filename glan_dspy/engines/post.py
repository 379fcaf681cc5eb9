"""Posts Chat Completions requests over an aiohttp session: address and authentication are `openai`'s.

`openai` needs 0.8 ms to send a request and aiohttp 0.2, mostly for making the same address and headers anew.
So it makes them once a model: a client that sends nothing shows the request that it would have sent. An answer
that is an error is shown to the same client, so that it is raised as `openai` raises it, code and body read.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp
import httpx2
import openai
import orjson

from glan_dspy.engines.endpoint import Endpoint
from glan_dspy.hiding import hidden, hidden_in_reply

CONNECT_SECONDS = 30.0
KEEP_SECONDS = 60
"""An idle connection is kept that long."""

_OWN_HEADERS = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
"""What aiohttp itself says about its connection."""


class Reply(NamedTuple):
    headers: Mapping[str, str]
    content: bytes


@dataclass
class _Show:
    """One exchange of a client that sends nothing: the answer that it is given, the request that it made."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    request: httpx2.Request | None = None


_SHOW: ContextVar[_Show] = ContextVar("glan_show")


class _Nowhere(httpx2.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        show = _SHOW.get()
        show.request = request
        return httpx2.Response(show.status, headers=dict(show.headers), content=show.content, request=request)


class _Draft(NamedTuple):
    """What all requests to one model have in common."""

    request: httpx2.Request
    url: str
    headers: dict[str, str]
    proxy: str | None


class Post:
    """`await post(body)`: the reply's headers and content. Raises openai's errors. For one event loop."""

    def __init__(self, endpoint: Endpoint, open_client: Callable[[httpx2.AsyncClient], openai.AsyncOpenAI]) -> None:
        self.endpoint = endpoint
        self._client = open_client(httpx2.AsyncClient(transport=_Nowhere()))
        self._certain = endpoint.certain()
        self._drafts: dict[str, _Draft] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, body: Mapping[str, Any]) -> Reply:
        draft = self._drafts.get(body["model"]) or await self._draft(body["model"])
        session = self._session or self._open(draft)
        try:
            # Nothing is sent on to where an answer points: the key is for this address alone.
            async with session.post(
                draft.url, data=_dump(body), headers=draft.headers, proxy=draft.proxy, allow_redirects=False
            ) as reply:
                content = await reply.read()
        except TimeoutError as error:
            raise openai.APITimeoutError(request=draft.request) from error
        except (aiohttp.ClientError, OSError) as error:
            raise openai.APIConnectionError(request=draft.request) from error
        if reply.status >= 300:
            known = self.endpoint.secrets()
            headers = {
                # openai's own client takes no other characters than these in a header
                name: hidden(value, known).encode("ascii", "replace").decode()
                for name, value in reply.headers.items()
                if name.lower() not in _ENCODED
            }
            text = hidden(content.decode("utf-8", "surrogateescape"), known)
            await self._show(body["model"], reply.status, headers, text.encode("utf-8", "surrogateescape"))
        return Reply(reply.headers, hidden_in_reply(content, self._certain))

    async def _draft(self, model: str) -> _Draft:
        request = await self._show(model, 200, {"content-type": "application/json"}, b"{}")
        headers = {
            name: value
            for name, value in request.headers.items()
            # x-stainless-*: what openai's client is and runs on; of no use to who answers, and half of the bytes
            if name not in _OWN_HEADERS and not name.startswith("x-stainless-")
        }
        url = str(request.url)
        draft = self._drafts[model] = _Draft(request, url, headers, proxy_for(url))
        return draft

    async def _show(self, model: str, status: int, headers: Mapping[str, str], content: bytes) -> httpx2.Request:
        """The request that openai would send, had it got this answer; raises what openai raises for that."""
        show = _Show(status, headers, content)
        token = _SHOW.set(show)
        try:
            await self._client.post("/chat/completions", body={"model": model}, cast_to=httpx2.Response)
        finally:
            _SHOW.reset(token)
        assert show.request is not None
        return show.request

    def _open(self, draft: _Draft) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self.endpoint.connections,
            keepalive_timeout=KEEP_SECONDS,
            ssl=httpx2.create_ssl_context() if draft.url.startswith("https:") else True,
        )
        # No limit on the whole: a model may think longer than that, as long as its server says something.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self.endpoint.timeout)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self._client.close()


_ENCODED = {"content-encoding", "content-length", "transfer-encoding"}
"""They were of the content as it came; aiohttp has unpacked it."""


def _dump(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # in --extra-body: half a character, or a number over 64 bits
        return json.dumps(body).encode()


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for the address; looked up once, aiohttp would do it at each request."""
    address = httpx2.URL(url)
    if urllib.request.proxy_bypass(address.host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"
