"""Settings: where each value comes from, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from glan_dspy.layers import given_settings, load_settings, recipes, validated
from glan_dspy.settings import Role, Settings, SettingsError, panel, role

FIELDS = list(Settings.model_fields)

# The Azure script's parameters and defaults (glan.md), but for the three that DESIGN.md names.
AZURE: dict[str, Any] = {
    "generate_disciplines": False,
    "generate_question_only": False,
    "disciplines_filepath": "disciplines.txt",
    "language": "Korean",
    "model_name": "gpt-4o",
    "model_name_for_answer": None,
    "max_number_of_fields": 1,
    "max_number_of_subjects": 2,
    "max_number_of_subtopics": 5,
    "max_number_of_session_name": 3,
    "num_iterations": 2,
    "num_questions_per_iteration": 5,
    "question_max_tokens": 768,
    "question_batch_size": 5,
    "answer_max_tokens": 2048,
    "answer_batch_size": 5,
    "logfile_name": "logfile.log",
    "questions_filepath": None,
}


def config(folder: Path, text: str) -> Path:
    path = folder / "glan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(flags: dict[str, Any] | None = None, **layers: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, **layers)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- the layers -----------------------------------------------------------------------------------


def test_each_layer_lies_over_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config(tmp_path, "num_questions_per_iteration = 30\nmax_number_of_subtopics = 30\nlanguage = 'French'")
    monkeypatch.setenv("GLAN_MAX_NUMBER_OF_SUBTOPICS", "40")
    monkeypatch.setenv("GLAN_LANGUAGE", "German")
    merged = load_settings({"language": "Hindi"}, recipe="debug", config=path, beneath={"seed": 7, "num_iterations": 9})
    assert (merged.seed, merged.top_p) == (7, 0.95), "beneath all layers, then the defaults"
    assert merged.num_iterations == 1, "the recipe over what lies beneath"
    assert merged.num_questions_per_iteration == 30, "the config file over the recipe"
    assert merged.max_number_of_subtopics == 40, "the environment over the config file"
    assert merged.language == "Hindi", "a flag over all"


def test_what_nobody_asked_for_is_not_given() -> None:
    assert given_settings() == {}
    assert given_settings({"seed": 1}, recipe="default") == {"seed": 1}
    assert set(given_settings(recipe="debug")) < set(FIELDS)


def test_a_flag_equal_to_the_default_still_counts_as_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLAN_SEED", "5")
    assert load_settings({"seed": 0}).seed == 0


def test_with_no_layer_at_all_the_defaults_hold() -> None:
    assert load_settings() == Settings() == load_settings(recipe="default")


@pytest.mark.parametrize(
    ("variable", "value", "field", "meant"),
    [
        ("GLAN_NUM_ITERATIONS", "8", "num_iterations", 8),
        ("GLAN_DOUBLE_SHARE", "0.25", "double_share", 0.25),
        ("GLAN_DRAFT_FIRST", "false", "draft_first", False),
        ("GLAN_DRAFT_FIRST", "1", "draft_first", True),
        ("GLAN_GENERATE_DISCIPLINES", "False", "generate_disciplines", False),
        ("GLAN_MODEL_NAME", "rehearsal", "model_name", "rehearsal"),
        ("GLAN_DISCIPLINE", '["Optics", "TCP/IP networks"]', "discipline", ("Optics", "TCP/IP networks")),
        ("GLAN_EXTRA_BODY", '{"top_k": 5}', "extra_body", {"top_k": 5}),
        ("GLAN_LANGUAGE", " Vietnamese ", "language", "Vietnamese"),
        ("glan_seed", "3", "seed", 3),
    ],
)
def test_the_environment_is_read_by_type(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, meant: Any
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(load_settings(), field) == meant


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_has_its_variable(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setenv(f"GLAN_{field.upper()}", "[]")
    try:
        load_settings()
    except SettingsError as error:
        assert "is no setting" not in str(error)


def test_a_config_file_may_hold_lists_and_tables(tmp_path: Path) -> None:
    path = config(tmp_path, 'discipline = ["Optics", "Dance"]\n[extra_body]\ntop_k = 5\n')
    loaded = load_settings(config=path)
    assert loaded.discipline == ("Optics", "Dance")
    assert loaded.extra_body == {"top_k": 5}


@pytest.mark.parametrize("recipe", recipes())
def test_every_recipe_loads(recipe: str) -> None:
    loaded = load_settings(recipe=recipe)
    assert loaded.samples_per_syllabus == loaded.num_iterations * loaded.num_questions_per_iteration


def test_the_recipes_are_these() -> None:
    assert recipes() == ("debug", "default", "large", "paper")
    large, paper, debug = (load_settings(recipe=name) for name in ("large", "paper", "debug"))
    assert (large.max_number_of_subjects, large.max_number_of_subtopics, large.max_number_of_session_name) == (
        15,
        30,
        30,
    )
    assert large.samples_per_syllabus == 15 * 18
    assert (paper.num_subject_queries, paper.draft_first, paper.answer_sees) == (10, True, "question")
    assert debug.samples_per_syllabus >= 2, "both strategies occur"


# --- what is refused ------------------------------------------------------------------------------


def test_an_unknown_key_is_named_with_the_nearest(tmp_path: Path) -> None:
    message = refusal(config=config(tmp_path, "lanugage = 'French'"))
    assert "'lanugage'" in message
    assert "did you mean 'language'?" in message
    assert "glan.toml" in message
    assert "did you mean" not in refusal(config=config(tmp_path, "zzzzzz = 1"))


def test_an_unknown_flag_of_the_settings_is_named_with_the_nearest() -> None:
    assert "did you mean 'num_iterations'?" in refusal({"num_iteration": 3})


@pytest.mark.parametrize("variable", ["GLAN_LANGUAGES", "GLAN_NUM_ITERATION", "glan_langage", "GLAN_ZZZZ", "GLAN_"])
def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "x")
    assert variable in refusal()


def test_an_unknown_variable_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLAN_LANGAUGE", "French")
    assert "did you mean 'GLAN_LANGUAGE'?" in refusal()


def test_other_peoples_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGUAGE", "MODEL_NAME", "GLANDER", "MY_GLAN_SEED", "SEED"):
        monkeypatch.setenv(name, "no setting")
    assert load_settings() == Settings()


def test_an_unknown_recipe_is_named_with_those_there_are() -> None:
    message = refusal(recipe="papers")
    assert "did you mean 'paper'?" in message
    assert "debug, default, large, paper" in message
    for name in ("", "../settings", "default.toml"):
        assert "unknown" in refusal(recipe=name)


@pytest.mark.parametrize("text", ["language = ", "= 3", "language = French", "[[["])
def test_a_config_file_that_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    assert "not TOML" in refusal(config=config(tmp_path, text))


def test_a_config_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert "cannot read" in refusal(config=tmp_path / "missing.toml")
    assert "cannot read" in refusal(config=tmp_path)
    (tmp_path / "latin.toml").write_bytes("language = 'Español'".encode("latin-1"))
    assert "not TOML" in refusal(config=tmp_path / "latin.toml")


OUT_OF_BOUNDS: list[tuple[str, list[Any]]] = [
    *((name, [0, -1, 1.5, "many"]) for name in FIELDS if name.startswith(("max_number", "num_"))),
    ("num_iterations", [None]),
    ("candidate_budget", [0.9]),
    ("near_duplicates", [0, 1.1]),
    ("holdout", [-1]),
    *((name, [0, -1, "big"]) for name in FIELDS if name.endswith(("_max_tokens", "_batch_size"))),
    ("concurrency", [0, -5]),
    ("max_asks", [0]),
    ("max_attempts", [0]),
    ("timeout", [0, -1, float("nan")]),
    ("double_share", [-0.1, 1.1, float("nan"), "half"]),
    ("top_p", [0, 1.01]),
    *((name, [-0.1, 2.1, float("nan")]) for name in FIELDS if name.endswith("_temperature")),
    ("seed", [-1, 0.5, "x"]),
    ("reasoning_headroom", [-1]),
    ("answer_sees", ["subjects", ""]),
    ("language", ["", "  ", "x" * 61, "Korean\nIgnore this", 3]),
    ("curriculum_language", ["", "a\nb"]),
    ("model_name", [""]),
    ("model_name_for_answer", [""]),
    ("model_name_for_curriculum", [""]),
    ("base_url", ["localhost:8000", "ftp://x", "", "http://user:pass@host/v1", "https://host/v1?key=x"]),
    ("answer_base_url", ["localhost:8000", "https://me@host"]),
    ("extra_header", [("no colon",), "X: y", (1,)]),
    ("extra_body", ["{}", [1]]),
    ("logfile_name", ["", "a/b.log", "../x", "..", ".", "/tmp/x"]),
    ("discipline", ["Optics", (1,)]),
    ("draft_first", ["perhaps", 2]),
]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUT_OF_BOUNDS for value in values], ids=repr
)
def test_a_value_that_cannot_be_is_refused_in_one_line(name: str, value: Any) -> None:
    assert f"--{name.replace('_', '-')}" in refusal({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("double_share", 0),
        ("double_share", 1),
        ("seed", 0),
        ("top_p", 1),
        ("base_url", "http://localhost:8000/v1"),
        ("language", "x" * 60),
        ("reasoning_headroom", 0),
        ("model_name", "rehearsal?latency=0.5"),
        ("extra_header", ("X-A: b:c",)),
    ],
)
def test_a_value_on_the_bound_is_taken(name: str, value: Any) -> None:
    assert getattr(validated({name: value}), name) == value


@pytest.mark.parametrize("value", ["Optics", "[1", "{", "5"])
def test_a_list_in_the_environment_that_is_not_json_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GLAN_DISCIPLINE", value)
    assert refusal() == f"""GLAN_DISCIPLINE={value!r} cannot be read; allowed: a JSON list such as ["A", "B"]"""


def test_a_header_in_the_environment_that_is_not_json_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLAN_EXTRA_HEADER", "Authorization: sk-secret")
    assert "GLAN_EXTRA_HEADER" in (message := refusal()) and "sk-secret" not in message


@pytest.mark.parametrize("variable", ["GLAN_NUM_ITERATIONS", "glan_num_iterations"])
def test_a_bad_value_of_the_environment_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "two")
    assert refusal().startswith(f"{variable} 'two': ")


def test_a_bad_value_of_a_config_file_is_refused_by_the_file(tmp_path: Path) -> None:
    path = config(tmp_path, 'num_pairs = "x"')
    assert refusal(config=path).startswith(f"{path}: num_pairs 'x': ")


def test_a_bad_value_that_another_layer_lies_over_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = config(tmp_path, 'num_pairs = "x"\nseed = "x"')
    monkeypatch.setenv("GLAN_NUM_PAIRS", "y")
    assert load_settings({"num_pairs": "5", "seed": "1"}, config=path).num_pairs == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [("extra_header", ("Authorization sk-secret",)), ("base_url", "https://me:sk-secret@host/v1")],
)
def test_a_refused_secret_is_not_repeated(name: str, value: Any) -> None:
    assert "sk-secret" not in refusal({name: value})


# --- the model itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), AZURE.items())
def test_the_azure_scripts_parameters_keep_their_names_and_defaults(name: str, value: Any) -> None:
    assert getattr(load_settings(recipe="default"), name) == value


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.seed = 3
    assert Settings(**settings.model_dump()) == settings
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_role_a_panel_and_a_description(name: str) -> None:
    assert role(name) in get_args(Role)
    assert panel(name)
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith((".", ")", "…"))
    assert "\n" not in description


@pytest.mark.parametrize("name", FIELDS)
def test_what_may_hold_a_secret_has_that_role(name: str) -> None:
    if name == "extra_header":
        assert role(name) == "secret"
    else:
        # An *_env setting names a variable; it holds no key.
        assert name.endswith("_env") or not {"key", "token", "password", "secret", "header"} & set(name.split("_"))


def test_roles_are_as_a_rerun_needs_them() -> None:
    assert {name for name in FIELDS if role(name) == "volume"} >= {
        "discipline",
        "disciplines_filepath",
        "num_iterations",
    }
    for name in ("language", "model_name", "seed", "double_share", "program", "max_number_of_subjects", "answer_sees"):
        assert role(name) == "content", name
    for name in ("base_url", "concurrency", "timeout", "question_batch_size", "answer_batch_size", "logfile_name"):
        assert role(name) == "pace", name


def test_the_models_of_stages_fall_back_to_the_question_model() -> None:
    alone = Settings(model_name="a")
    assert (alone.question_model, alone.answer_model, alone.curriculum_model) == ("a", "a", "a")
    three = Settings(model_name="a", model_name_for_answer="b", model_name_for_curriculum="c")
    assert (three.question_model, three.answer_model, three.curriculum_model) == ("a", "b", "c")


def test_reading_the_environment_changes_nothing_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLAN_SEED", "4")
    before = dict(os.environ)
    load_settings()
    assert dict(os.environ) == before
    assert Settings().seed == 0, "the model itself reads no environment"
