"""An export with its card, sent to the Hugging Face Hub: private unless told otherwise, and shown before it goes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glan_dspy.errors import UserError
from glan_dspy.hiding import hidden, secrets
from glan_dspy.publish.card import CARD

HEAD = 30
"""Lines of the card that are shown."""


def check_repo(repo: str) -> None:
    """Raises UserError for what is no `owner/name` on the Hub."""
    owner_name = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?"
    if not re.fullmatch(f"{owner_name}/{owner_name}", repo, re.ASCII) or len(repo) > 96 or re.search(r"--|\.\.", repo):
        raise UserError(f"--repo {repo!r} is no dataset on the Hub: it is OWNER/NAME, such as anna/physics-pairs")


def preview(folder: Path, repo: str, *, public: bool) -> Iterator[str]:
    """What would be sent, in lines: each file with its size, and the head of the card."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    yield f"{repo} ({'public' if public else 'private'} dataset): {len(files)} files"
    for path in files:
        yield f"  {path.name}  {size(path.stat().st_size)}"
    lines = (folder / CARD).read_text(encoding="utf-8").splitlines()
    yield from (f"  | {line}".rstrip() for line in lines[:HEAD])
    if len(lines) > HEAD:
        yield f"  | … and {len(lines) - HEAD:,} more lines"


def size(count: int) -> str:
    """
    >>> size(999), size(1500), size(2_340_000_000)
    ('999 B', '1.5 kB', '2.3 GB')
    """
    number, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.1f} {unit}" if unit != "B" else f"{count} B"


def send(folder: Path, repo: str, *, public: bool) -> Iterator[str]:
    """Sends the folder as one commit and gives back what to tell: its address last.

    Data files of an earlier push are replaced in that commit; a card that is there stays as it is, since somebody
    may have written a licence into it. Raises UserError without a token, where the Hub refuses, and where the
    dataset is public already and `public` was not asked for.
    """
    # Read when huggingface_hub is imported, which happens here: no telemetry.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi, errors, get_token

    token = get_token()
    if not token:
        raise UserError(
            "nothing was sent: there is no token; set HF_TOKEN to one with write access, or log in with "
            "`hf auth login`, and give the same command again"
        )
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token)
    try:
        yield from _send(api, folder, repo, public)
    except errors.HfHubHTTPError as error:
        raise UserError(f"the Hub refuses {repo}: {_reason(error)}; is the token allowed to write there?") from None
    except (errors.HTTPError, ConnectionError, TimeoutError) as error:  # type: ignore[attr-defined]
        raise UserError(f"the Hub at {api.endpoint} cannot be reached: {error}") from None


def _send(api: Any, folder: Path, repo: str, public: bool) -> Iterator[str]:
    api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
    about = api.dataset_info(repo)
    if not about.private and not public:
        raise UserError(f"{repo} is public already; --public sends to it all the same, another --repo is made private")
    keeps_card = any(file.rfilename == CARD for file in about.siblings or ())
    commit = api.upload_folder(
        repo_id=repo,
        repo_type="dataset",
        folder_path=folder,
        ignore_patterns=[CARD] if keeps_card else None,
        delete_patterns=["*.parquet"],
        commit_message="Pairs from glan-dspy",
    )
    if keeps_card:
        yield f"{CARD} of {repo} is kept as it is; `glan export RUN --to FOLDER` writes the new one"
    yield f"sent: {commit.commit_url}"


def _reason(error: Any) -> str:
    return hidden(str(getattr(error, "server_message", None) or error), secrets()).strip().splitlines()[0][:300]
