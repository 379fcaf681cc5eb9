"""One frozen settings model; layers.py puts its values together.

Each setting has a role, which decides what a second command on the same run may do with it:

    content   shapes what is made: must equal what the run was begun with
    volume    how much is made: may only grow
    pace      how fast, over which endpoint, told how: changes freely
    once      of this one command; the next does not inherit it
    secret    like pace, and never written to a file

The flags of `glan generate`, the reference page and the check of a rerun are all made from this model.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Role = Literal["content", "volume", "pace", "once", "secret"]
Json = dict[str, Any]


class SettingsError(ValueError):
    """A setting that cannot be: one line that says which, its value, and what is allowed."""


def _setting(default: Any, text: str, role: Role, panel: str, **limits: Any) -> Any:
    return Field(default, description=text, json_schema_extra={"role": role, "panel": panel}, **limits)


_WHAT, _METHOD, _GATES, _MODEL, _PACE, _MONEY, _ENDPOINT, _FILES = (
    "What is made",
    "How the method is walked",
    "Gates",
    "Models",
    "Pace",
    "Money",
    "Endpoint",
    "Files",
)


class Settings(BaseModel):
    """Everything that decides a run. Units stand in each description."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    # --- what is made
    disciplines_filepath: str = _setting(
        "disciplines.txt", "File with one discipline a line; '# Field' lines group them.", "volume", _WHAT
    )
    discipline: tuple[str, ...] = _setting((), "A discipline by name, instead of a file (repeatable).", "volume", _WHAT)
    language: str = _setting("Korean", "Language of the questions and answers, by its English name.", "content", _WHAT)
    curriculum_language: str = _setting(
        "English", "Language of subjects and syllabi: models know curricula best in English.", "content", _WHAT
    )
    max_number_of_fields: int = _setting(1, "Most fields in a generated taxonomy.", "content", _WHAT, ge=1)
    max_number_of_subjects: int = _setting(
        2, "Most subjects a discipline, after merging all subject queries.", "content", _WHAT, ge=1
    )
    max_number_of_subtopics: int = _setting(5, "Most subtopics a subject.", "content", _WHAT, ge=1)
    max_number_of_session_name: int = _setting(3, "Most class sessions a syllabus.", "content", _WHAT, ge=1)
    num_iterations: int = _setting(
        2, "Rounds of questions a syllabus; questions = rounds x questions a round.", "volume", _WHAT, ge=1
    )
    num_questions_per_iteration: int = _setting(5, "Questions a round.", "volume", _WHAT, ge=1)
    generate_disciplines: bool = _setting(
        False, "Make a taxonomy first and stop for a person to check it (--yes goes on).", "once", _WHAT
    )
    generate_question_only: bool = _setting(
        False, "Stop after the questions; a rerun without it answers them.", "once", _WHAT
    )
    questions_filepath: str | None = _setting(
        None, "Answer the questions of this JSONL file instead of making some (same as `glan answer`).", "once", _WHAT
    )

    num_pairs: int | None = _setting(
        None,
        "Accepted pairs of the whole run, spread over the disciplines; replaces rounds x questions a round.",
        "volume",
        _WHAT,
        ge=1,
    )
    weights: str | None = _setting(
        None, "File of 'discipline,weight' lines, or a JSON object: shares of --num-pairs.", "volume", _WHAT
    )
    candidate_budget: float = _setting(
        1.3, "Questions that --num-pairs N may buy, as a multiple of N.", "pace", _WHAT, ge=1
    )
    holdout: int = _setting(
        0, "Pairs of each discipline that are kept apart as a test set, besides those for training.", "content", _WHAT,
        ge=0)  # fmt: skip

    # --- how the method is walked
    num_taxonomy_queries: int = _setting(1, "Times the taxonomy is asked for and merged.", "content", _METHOD, ge=1)
    num_subject_queries: int = _setting(
        1, "Times a discipline's subjects are asked for and merged (the paper: 10).", "content", _METHOD, ge=1
    )
    draft_first: bool = _setting(
        False,
        "Subjects and syllabi as free text first, then extracted (the paper); twice the calls.",
        "content",
        _METHOD,
    )
    double_share: float = _setting(
        0.5, "Share of questions that combine two class sessions, 0..1.", "content", _METHOD, ge=0, le=1
    )
    answer_sees: Literal["subject", "question"] = _setting(
        "subject",
        "What the answering model is shown: the question with its subject and level, or it alone (paper).",
        "content",
        _METHOD,
    )
    adapter: Literal["compact", "chat", "json"] = _setting(
        "compact",
        "How prompts are worded: compact (few tokens), or DSPy's own chat or json for models that do better with them.",
        "content",
        _METHOD,
    )
    max_asks: int = _setting(
        3, "Times one thing is asked while the replies cannot be used; then it is rejected.", "content", _METHOD, ge=1
    )
    question_max_tokens: int = _setting(768, "Token limit of a question.", "content", _METHOD, ge=1)
    answer_max_tokens: int = _setting(2048, "Token limit of an answer.", "content", _METHOD, ge=1)
    curriculum_max_tokens: int = _setting(
        8192, "Token limit of a taxonomy, a subject list or a syllabus.", "content", _METHOD, ge=1
    )
    seed: int = _setting(0, "Decides the samples; sent to the model as well.", "content", _METHOD, ge=0)

    # --- gates
    gates: bool = _setting(
        True, "Judge every question and answer: language, leaks, copies, refusals, cut ends.", "content", _GATES
    )
    near_duplicates: float = _setting(
        0.7, "Likeness at which a question counts as a copy within its discipline; 1: equal ones only.", "content",
        _GATES, gt=0, le=1)  # fmt: skip
    against: tuple[str, ...] = _setting(
        (), "Benchmark file or folder (JSONL, Parquet, CSV, text) whose items no pair may contain (repeatable).",
        "content", _GATES)  # fmt: skip
    against_field: str | None = _setting(
        None, "Field of those files that holds the item's text; found by its name unless given.", "content", _GATES
    )

    # --- models
    model_name: str = _setting(
        "gpt-4o",
        "Model of the questions, and of all stages without one of their own. `rehearsal` is built in.",
        "content",
        _MODEL,
        min_length=1,
    )
    model_name_for_answer: str | None = _setting(
        None, "Model of the answers; the question model unless given.", "content", _MODEL, min_length=1
    )
    model_name_for_curriculum: str | None = _setting(
        None,
        "Model of the taxonomy, subjects and syllabi; the question model unless given.",
        "content",
        _MODEL,
        min_length=1,
    )
    program: str | None = _setting(
        None, "Compiled program (JSON state) whose prompts replace the built-in ones.", "content", _MODEL
    )
    curriculum_temperature: float = _setting(
        1.0, "Temperature of taxonomy, subjects and syllabi.", "content", _MODEL, ge=0, le=2
    )
    question_temperature: float = _setting(1.0, "Temperature of the questions.", "content", _MODEL, ge=0, le=2)
    answer_temperature: float = _setting(0.7, "Temperature of the answers.", "content", _MODEL, ge=0, le=2)
    top_p: float = _setting(0.95, "Nucleus sampling of every stage, 0..1.", "content", _MODEL, gt=0, le=1)
    reasoning_effort: str | None = _setting(
        None, "Passed on to reasoning models: low, medium, high, …", "content", _MODEL
    )
    reasoning_headroom: int | None = _setting(
        None,
        "Tokens on top of every limit for a model that thinks first (default 8192 for known ones, else 0).",
        "content",
        _MODEL,
        ge=0,
    )

    # --- pace
    question_batch_size: int = _setting(5, "Question calls in flight.", "pace", _PACE, ge=1)
    answer_batch_size: int = _setting(5, "Answer calls in flight.", "pace", _PACE, ge=1)
    concurrency: int = _setting(64, "Calls in flight in all.", "pace", _PACE, ge=1)
    workers: int | None = _setting(
        None,
        "Processes that share the work, the pace and the budget (default 1; with --ray, the cluster's CPUs).",
        "pace",
        _PACE,
        ge=1,
    )
    ray: str | None = _setting(
        None,
        "Ray cluster that the workers run in: its head's HOST:PORT, auto (the one this machine is in), local (one of "
        "its own) or off.",
        "pace",
        _PACE,
    )
    rpm: float | None = _setting(None, "Most calls a minute and model, from the first call on.", "pace", _PACE, gt=0)
    tpm: float | None = _setting(None, "Most tokens a minute and model, from the first call on.", "pace", _PACE, gt=0)
    max_attempts: int = _setting(
        12,
        "Times one call is sent while the endpoint fails (429, 5xx, timeouts), with growing pauses.",
        "pace",
        _PACE,
        ge=1,
    )
    batch: bool = _setting(
        False, "Through the endpoint's Batch API: half the price, replies within 24 hours.", "pace", _PACE
    )
    timeout: float = _setting(600.0, "Seconds until a call without a reply is given up.", "pace", _PACE, gt=0)

    # --- money
    max_cost: float | None = _setting(
        None, "Dollars that the run may cost over all its commands; it stops before it could cost more.", "pace",
        _MONEY, gt=0)  # fmt: skip
    price_in: tuple[str, ...] = _setting(
        (), "Dollars for a million prompt tokens: 2.5, or MODEL=2.5 (repeatable). Known models have a price already.",
        "pace", _MONEY)  # fmt: skip
    price_cached: tuple[str, ...] = _setting(
        (), "The same for prompt tokens from the endpoint's cache; like --price-in unless given.", "pace", _MONEY
    )
    price_out: tuple[str, ...] = _setting((), "The same for reply tokens.", "pace", _MONEY)

    # --- endpoint
    base_url: str | None = _setting(
        None, "OpenAI-compatible endpoint (also OPENAI_BASE_URL); e.g. http://localhost:8000/v1.", "pace", _ENDPOINT
    )
    answer_base_url: str | None = _setting(None, "Endpoint of the answer model, if another.", "pace", _ENDPOINT)
    answer_api_key_env: str | None = _setting(
        None, "Environment variable that holds the answer endpoint's key.", "pace", _ENDPOINT
    )
    extra_body: Json = _setting({}, "JSON object added to every request.", "pace", _ENDPOINT)
    structured: Literal["json_schema", "json_object_schema", "json_object", "prompt"] | None = _setting(
        None,
        "Form of structured output: json_schema, json_object_schema (llama-cpp-python), json_object or prompt; "
        "found for each endpoint and model unless given.",
        "pace",
        _ENDPOINT,
    )
    extra_header: tuple[str, ...] = _setting(
        (), "'Name: value' sent with every request (repeatable).", "secret", _ENDPOINT
    )

    # --- files
    logfile_name: str = _setting("logfile.log", "Log, in the run directory.", "pace", _FILES, min_length=1)

    @property
    def samples_per_syllabus(self) -> int:
        return self.num_iterations * self.num_questions_per_iteration

    @property
    def question_model(self) -> str:
        return self.model_name

    @property
    def answer_model(self) -> str:
        return self.model_name_for_answer or self.model_name

    @property
    def curriculum_model(self) -> str:
        return self.model_name_for_curriculum or self.model_name

    @field_validator("language", "curriculum_language")
    @classmethod
    def _one_name(cls, value: str) -> str:
        if not value.strip() or len(value) > 60 or "\n" in value:
            raise ValueError("is one language by name, such as English, Korean or Vietnamese")
        return value.strip()

    @field_validator("logfile_name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if Path(value).name != value or value in {".", ".."}:
            raise ValueError("is a file name without folders; it lies in the run directory")
        if Path(value).suffix in {".json", ".jsonl"} or value.startswith(".") or Path(value).stem == "disciplines":
            raise ValueError("may be one of the run's own files; name it something.log")
        return value

    @field_validator("base_url", "answer_base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and (wrong := wrong_in_address(value)):
            raise ValueError(wrong)
        return value

    @field_validator("ray")
    @classmethod
    def _cluster(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"local|auto|off|[^\s/@]+:[0-9]{1,5}", value):
            client = " (ray:// is for clients from elsewhere: run glan on a node of the cluster)"
            raise ValueError(f"is HOST:PORT, auto, local or off, e.g. 10.0.0.1:6379{client if '://' in value else ''}")
        return value

    @field_validator("price_in", "price_cached", "price_out")
    @classmethod
    def _prices(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            price = entry.rpartition("=")[2]
            try:
                known = float(price) >= 0
            except ValueError:
                known = False
            if not known:
                raise ValueError("is dollars for a million tokens: 2.5, or MODEL=2.5")
        return value

    @field_validator("extra_body")
    @classmethod
    def _not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value.keys() & {"model", "messages", "n", "stream"}:
            raise ValueError(f"{name!r} is not added to a request: it decides what a reply is, and what it costs")
        return value

    @field_validator("extra_header")
    @classmethod
    def _headers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(":" in line and line.isprintable() for line in value):
            raise ValueError("is 'Name: value', on one line")
        return value


def wrong_in_address(value: str) -> str:
    """What is wrong with an endpoint's address; empty where nothing is."""
    if not value.startswith(("http://", "https://")):
        return "starts with http:// or https://, e.g. http://localhost:8000/v1"
    if "@" in value.split("/")[2] or "?" in value or "#" in value:
        return "holds no password and no query: keys come from the environment (OPENAI_API_KEY)"
    return ""


def role(name: str) -> Role:
    extra = Settings.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return extra["role"]  # type: ignore[return-value]


def panel(name: str) -> str:
    extra = Settings.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["panel"])
