"""`glan doctor`: one tiny request of each kind to each model, before money is spent on many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from glan_dspy.cli.flags import Config, Grouped, MaybeOut, Recipe, with_settings

if TYPE_CHECKING:
    import dspy

    from glan_dspy.connect import Models

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_FLAGS = (
    "model_name",
    "model_name_for_answer",
    "model_name_for_curriculum",
    "base_url",
    "answer_base_url",
    "answer_api_key_env",
    "extra_body",
    "extra_header",
    "timeout",
    "reasoning_effort",
    "reasoning_headroom",
    "structured",
    "adapter",
)


def doctor(flags: dict[str, Any], out: MaybeOut = None, recipe: Recipe = None, config: Config = None) -> int:
    """Try each model of these settings with one tiny request: its key, its name, and whether it keeps to a JSON schema.

    \b
    glan doctor --model-name gpt-4o-mini
    glan doctor --base-url http://localhost:11434/v1 --model-name qwen3
    """
    from glan_dspy.cli.prepare import prepare, require_run
    from glan_dspy.connect import connect
    from glan_dspy.engines.forms import Forms
    from glan_dspy.errors import UserError
    from glan_dspy.run.command import bulk
    from glan_dspy.run.store import NO_RUN, Run

    run = require_run(out) if out else Run(NO_RUN)
    settings, _ = prepare(run, flags, recipe, config)
    forms = Forms(run.about().get("forms") if run.exists else None)
    models = connect(settings.model_copy(update={"max_attempts": 1}), forms=forms)
    stages = {"curriculum": models.curriculum, "question": models.question, "answer": models.answer}
    healthy = True
    with bulk(settings), closing(models):
        for lm in dict.fromkeys(stages.values()):
            used = ", ".join(stage for stage, other in stages.items() if other is lm)
            needs_json = lm is models.curriculum
            healthy &= examine(lm, used, needs_json)
    if not healthy:
        raise UserError("not every model is ready; see the lines above")
    return 0


@contextmanager
def closing(models: Models) -> Iterator[None]:
    from glan_dspy.engines.background import run_sync

    try:
        yield
    finally:
        run_sync(models.aclose())


def examine(lm: dspy.LM, used: str, needs_json: bool) -> bool:
    """Prints what the model made of a plain and a structured request; whether it can do its part."""
    from dspy.utils.exceptions import LMError

    from glan_dspy.run.crew import first_line

    print(f"{lm.model} ({used})")
    try:
        plain = ask_plainly(lm)
    except LMError as error:
        print(f"  text        no: {first_line(error)}")
        return False
    print(f"  text        {'yes' if plain else 'no: an empty reply (a reasoning model? see --reasoning-headroom)'}")
    try:
        problem = ask_for_json(lm)
    except LMError as error:
        problem = first_line(error)
    print(f"  structured  {'yes' if not problem else f'no: {problem}'}{form_of(lm)}")
    return bool(plain) and not (problem and needs_json)


def form_of(lm: dspy.LM) -> str:
    """In brackets, the form in which requests to the model go; empty for one that is simulated."""
    engine: Any = lm.engine
    while hasattr(engine, "engine"):
        engine = engine.engine
    return f" ({engine.form(lm.model).told()})" if hasattr(engine, "form") else ""


def ask_plainly(lm: dspy.LM) -> str:
    import dspy
    from dspy.utils.exceptions import AdapterParseError

    try:
        reply = dspy.Predict("request -> reply")(request="Say hello in one word.", lm=lm, config={"max_tokens": 64})
    except AdapterParseError:
        return ""
    return str(reply.reply)


def ask_for_json(lm: dspy.LM) -> str:
    """What was wrong with the structured reply; empty where nothing was."""
    import dspy
    from dspy.utils.exceptions import AdapterParseError

    try:
        reply = dspy.Predict("discipline, max_subtopics: int -> level: int, subtopics: list[str]")(
            discipline="Optics", max_subtopics=2, lm=lm, config={"max_tokens": 256}
        )
    except AdapterParseError as error:
        return f"the reply does not fit the schema: {str(error.lm_response)[:80]!r}"
    return "" if reply.subtopics else "the reply is empty"


app.command(cls=Grouped)(with_settings(doctor, _FLAGS))
