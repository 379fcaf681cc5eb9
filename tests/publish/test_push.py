"""`glan push`: shown before it goes, private unless told otherwise, and nothing of the user's written over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from glan_dspy.cli.main import run as run_glan
from glan_dspy.errors import UserError
from glan_dspy.publish.push import check_repo
from tests.processes import glan as glan_process
from tests.publish.hub import Hub, running
from tests.publish.made import make_run, names, pair

Push = Callable[..., tuple[int, str, str]]


@pytest.fixture
def push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Push:
    """`glan push run --repo anna/pairs …` against a hub."""
    monkeypatch.chdir(tmp_path)
    make_run(Path("run"), map(pair, range(20)))

    def call(hub: Hub, *words: str) -> tuple[int, str, str]:
        with running(hub) as address:
            monkeypatch.setenv("HF_ENDPOINT", address)
            monkeypatch.setenv("HF_TOKEN", "hf_secret")
            code = run_glan(["push", "run", "--repo", "anna/pairs", *words])
        return code, *capsys.readouterr()

    return call


def test_without_a_token_it_shows_what_would_go_and_sends_nothing(tmp_path: Path) -> None:
    make_run(tmp_path / "run", map(pair, range(20)))
    hub = Hub()
    with running(hub) as address:
        # A process of its own: whoever runs the tests may have logged in.
        env = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": address, "HF_TOKEN": "", "HF_HUB_OFFLINE": ""}
        done = glan_process("push", "run", "--repo", "anna/pairs", cwd=tmp_path, check=1, **env)
    first, *lines = done.stdout.splitlines()
    assert first == "anna/pairs (private dataset): 2 files"
    assert lines[0].startswith("  README.md  ") and lines[1].startswith("  train-00000-of-00001.parquet  ")
    assert lines[2] == "  | ---" and any('- "en"' in line for line in lines)
    assert "HF_TOKEN" in done.stderr and "nothing was sent" in done.stderr and done.stderr.count("\n") == 1
    assert hub.asked == [] and names(tmp_path) == ["run"]


def test_a_new_dataset_is_private_and_gets_the_files_and_the_card(push: Push) -> None:
    hub = Hub()
    code, out, err = push(hub, "--split", "train=0.5,val=0.5")
    assert (code, hub.private, hub.tokens) == (0, True, {"Bearer hf_secret"}), err
    assert sorted(hub.files) == ["README.md", "train-00000-of-00001.parquet", "val-00000-of-00001.parquet"]
    assert hub.files["train-00000-of-00001.parquet"].startswith(b"PAR1")
    assert b"glan export" in hub.files["README.md"]
    assert f"sent: {hub.address}/datasets/anna/pairs/commit/1" in out and "hf_secret" not in out + err


def test_public_is_asked_for(push: Push) -> None:
    hub = Hub()
    assert push(hub, "--public")[0] == 0 and hub.private is False


def test_a_dataset_that_is_public_already_gets_nothing_unasked(push: Push) -> None:
    hub = Hub({"old.txt": b""}, private=False)
    code, _, err = push(hub)
    assert code == 1 and "is public already; --public" in err and hub.files == {"old.txt": b""}
    assert push(hub, "--public")[0] == 0 and len(hub.files) == 3


def test_another_push_replaces_the_data_and_keeps_the_card_that_is_there(push: Push) -> None:
    hub = Hub({"README.md": b"license: mit", "train-00007-of-00009.parquet": b"", "notes.txt": b"n"}, private=True)
    code, out, _ = push(hub)
    assert code == 0 and "README.md of anna/pairs is kept as it is" in out
    assert sorted(hub.files) == ["README.md", "notes.txt", "train-00000-of-00001.parquet"]
    assert hub.files["README.md"] == b"license: mit"


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_refusal_of_the_hub_is_one_line(push: Push, status: int) -> None:
    code, _, err = push(Hub(refuses=status))
    assert code == 1 and "the Hub refuses anna/pairs" in err and err.count("\n") == 1 and "hf_secret" not in err


def test_a_hub_that_is_not_there_is_one_line(
    push: Push, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert run_glan(["push", "run", "--repo", "anna/pairs"]) == 1
    err = capsys.readouterr().err
    assert "http://127.0.0.1:9 cannot be reached" in err and err.count("\n") == 1


def test_simulated_pairs_are_not_sent_unasked(push: Push, tmp_path: Path) -> None:
    make_run(tmp_path / "sim", [pair(1, simulated=True)]).path.rename(tmp_path / "other")
    (tmp_path / "run").rename(tmp_path / "real")
    (tmp_path / "other").rename(tmp_path / "run")
    hub = Hub()
    code, out, err = push(hub)
    assert (code, out, hub.asked) == (1, "", []) and "no training data" in err
    assert push(hub, "--allow-rehearsal")[0] == 0 and b"This is no training data" in hub.files["README.md"]


def test_the_azure_script_s_file_is_not_for_the_hub(push: Push) -> None:
    code, out, err = push(Hub(), "--format", "azure")
    assert (code, out) == (1, "") and "take another format" in err


@pytest.mark.parametrize(
    "repo", ["pairs", "a/b/c", "/b", "a/", "a/..", "a/b c", "https://hf.co/a/b", "a/b--c", "a/" + "b" * 99]
)
def test_what_is_no_dataset_s_name_is_refused(repo: str) -> None:
    with pytest.raises(UserError, match="OWNER/NAME"):
        check_repo(repo)


def test_a_name_may_have_dots_and_dashes() -> None:
    check_repo("my-org/GLAN_1.5-en")
