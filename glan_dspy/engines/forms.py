"""Finds, once for each endpoint and model, the form in which it takes requests, and remembers it.

Compatible servers differ. A request goes out in the best form that is not known to be refused, and an answer
that refuses it is followed at once by the same request in the next form: no retry, no pause, no cost.

    400, 422 that names a parameter     the next form; taken over when it brings a reply, and only then: an error
                                        that merely quotes such a word changes nothing
    500, 501 to the first structured    the next form as well. Where the error's text names the parameter, one
    requests (llama-cpp-python)         reply in the lower form settles it. Where it does not, it may be an outage
                                        that is just over: the next request tries the better form again, and only
                                        after DOUBTS of them, each failing so and answered at once in the lower
                                        form, and none answered in the better one, is that given up

No reply is thrown away on the way: what the lower form brings is the reply of the request that was tried.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from dspy import lm15
from dspy.lm15 import Request, Response

from glan_dspy.engines.endpoint import Structured
from glan_dspy.engines.form import LADDER, LIMITS, OPTIONAL, Form
from glan_dspy.engines.refusals import is_refusal, names_structured, refused_parameters

log = logging.getLogger("glan")

State = dict[str, dict[str, Any]]
Send = Callable[[Form], Awaitable[Response]]

DOUBTS = 3
PATIENCE = 60.0
"""Seconds that a structured request waits for another one to find the form; then it goes by itself."""

_SURE = ("openai", "azure")
"""Places that answer json_schema or refuse it with 400: nothing there is waited for, and a 500 is an outage."""


class Forms:
    """What each endpoint and model takes; one for a run. `on_change` is told the whole `state()` after each find."""

    def __init__(
        self, known: Mapping[str, Any] | None = None, on_change: Callable[[State], None] = lambda state: None
    ) -> None:
        self._known, self._on_change = dict(known or {}), on_change
        self._fits: dict[tuple[str, str], Fit] = {}

    def of(self, place: str, model: str, forced: Structured | None = None) -> Fit:
        """The finder for a model at an endpoint; `forced` is the way of structured output that a user insists on."""
        fit = self._fits.get((place, model))
        if fit is None:
            name = f"{place}|{model}"
            form, proven = _read(self._known.get(name))
            fit = Fit(name, form, proven, self._changed, sure=place in _SURE, forced=forced)
            self._fits[place, model] = fit
        return fit

    def state(self) -> State:
        """What was found so far, by "<endpoint>|<model>": what `Forms(known)` takes."""
        return {**self._known, **{fit.name: line for fit in self._fits.values() if (line := fit.line())}}

    def _changed(self) -> None:
        self._on_change(self.state())


class Step(NamedTuple):
    form: Form
    doubtful: bool
    """It may be the endpoint that fails, and not the form that is refused."""


class Fit:
    """The form of one model at one endpoint."""

    def __init__(
        self,
        name: str,
        form: Form,
        proven: bool,
        changed: Callable[[], None],
        *,
        sure: bool = False,
        forced: Structured | None = None,
    ) -> None:
        self.name, self.form, self.forced = name, form, forced
        if forced:
            self.form = Form(forced, form.without, form.limit)
        self.proven = proven
        """Whether a structured request in this form has brought a reply."""
        self._sure = sure or forced is not None
        self._changed = changed
        self._doubts: Counter[Structured] = Counter()
        self._turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()

    async def ask(self, request: Request, send: Send, *, together: bool = False) -> Response:
        """The reply to the request, sent in the form that is known, or else in the first that is answered.

        With `together` none waits for another one to find the form: a batch takes them all at once.
        """
        form = request.config.response_format
        structured = form is not None and form.get("type") == "json_schema"
        if not structured or self.proven or self._sure or together:
            return await self._tried(send, structured)
        return await self._in_turn(send)

    async def _in_turn(self, send: Send) -> Response:
        """While the form is not known one request looks for it, and the others wait: but not for one that hangs."""
        lock = self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        try:
            await asyncio.wait_for(lock.acquire(), PATIENCE)
        except TimeoutError:
            return await self._tried(send, True)
        try:
            if not self.proven:
                return await self._tried(send, True, seeking=True)
        finally:
            lock.release()
        return await self._tried(send, True)

    async def _tried(self, send: Send, structured: bool, *, seeking: bool = False) -> Response:
        form, doubtful = self.form, False
        refused: lm15.LM15Error | None = None
        while True:
            try:
                response = await send(form)
            except lm15.LM15Error as error:
                step = self._next(form, error, structured, seeking)
                if step is None:
                    if refused and type(refused) is type(error):
                        # Where all forms fail alike, what was wrong with the first of them says most.
                        raise refused from refused.__cause__
                    raise
                refused, form, doubtful = refused or error, step.form, doubtful or step.doubtful
                continue
            self._answered(form, structured, doubtful)
            return response

    def _next(self, form: Form, error: lm15.LM15Error, structured: bool, seeking: bool) -> Step | None:
        """How to put the request that brought this error; None where another form would not help."""
        lower = form.lower() if structured and not self.forced else None
        if isinstance(error, lm15.ServerError) and error.status in (500, 501):
            if lower is None or not seeking:
                return None
            return Step(lower, doubtful=not names_structured(error, proven=False))
        if is_refusal(error):
            for name in refused_parameters(error, proven=self.proven):
                other = lower if name == "response_format" else form.without_what(name)
                if other is not None:
                    return Step(other, doubtful=False)
        return None

    def _answered(self, form: Form, structured: bool, doubtful: bool) -> None:
        """Takes over the form that brought a reply."""
        if form is self.form and (self.proven or not structured):
            return
        before = (self.form, self.proven)
        mine = self.form.structured
        if structured and doubtful and mine != form.structured and not self.proven:
            self._doubts[mine] += 1
            doubtful = self._doubts[mine] < DOUBTS
        self.form = self.form.merged(form, structured=structured and not doubtful)
        self.proven = self.proven or (structured and form.structured == self.form.structured)
        if (self.form, self.proven) != before:
            log.info("%s: requests go as %s", self.name, self.told())
            self._changed()

    def told(self) -> str:
        """The form in words, for doctor and the log."""
        without = [f"without {name}" for name in sorted(self.form.without)]
        return ", ".join([self.form.structured, *without, *([self.form.limit] if self.form.limit else [])])

    def line(self) -> dict[str, Any]:
        """What run.json keeps: only what was found."""
        line: dict[str, Any] = {}
        if self.proven and not self.forced:
            line["structured"] = self.form.structured
        if self.form.without:
            line["without"] = sorted(self.form.without)
        if self.form.limit:
            line["limit"] = self.form.limit
        return line


def _read(line: Any) -> tuple[Form, bool]:
    """A form that run.json kept, and whether structured requests were answered in it. What is odd is not found."""
    line = line if isinstance(line, dict) else {}
    without = frozenset(name for name in line.get("without") or () if name in OPTIONAL)
    limit = line.get("limit") if line.get("limit") in LIMITS else None
    proven = line.get("structured") in LADDER
    return Form(line["structured"] if proven else "json_schema", without, limit), proven
