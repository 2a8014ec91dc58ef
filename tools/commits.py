"""The commits between two image tags, from GitHub's and GitLab's compare APIs; read by tools.evidence.changes.

Only for images that tocsin.yaml gives a repository. One request a rollout, bounded in time and size; a failure costs its lines.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote

from tools.access import Access, client
from tools.errors import Permanent, TocsinError
from tools.fetch import get_json
from tools.history import Event

MAX_SHOWN = 10
TIMEOUT_S = 4.0
PUBLIC = {"github": "https://api.github.com", "gitlab": "https://gitlab.com"}
# A tag or a commit, as both APIs take it in a path; nothing that could add a path or a query
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")


@dataclass(frozen=True)
class Repository:
    """Where the source of images that begin with *image* is; *tag* is how a Git tag is made of an image's, with {tag} in it."""

    image: str
    host: Literal["github", "gitlab"]
    project: str
    url: str = ""
    tag: str = "{tag}"
    access: Access = field(default_factory=Access)


@dataclass(frozen=True)
class Commits:
    """The newest commits, one line each, how many there are in all, and where a person can read them."""

    lines: tuple[str, ...]
    total: int
    link: str


async def explained(
    rollouts: list[Event], repositories: Sequence[Repository], ask: Callable[[str], str], unread: Callable[[str], None]
) -> list[Event]:
    """Add to each rollout of a new image the commits between the two tags, where its repository is known."""
    found = []
    for event in rollouts:
        known = (
            repository_of(str(event.data.get("after") or ""), repositories)
            if event.data.get("what") == "image"
            else None
        )
        if known is None:
            found.append(event)
            continue
        before, after = _tag(str(event.data["before"])), _tag(str(event.data["after"]))
        try:
            between = await compare(known, known.tag.format(tag=before), known.tag.format(tag=after), ask)
        except TocsinError as exc:
            unread(str(exc))
            found.append(event)
            continue
        head = f"  {between.total} commits {before}...{after} {between.link}"
        data = {
            **event.data,
            "commits": between.total,
            "compare": between.link,
            "newest_commit": (between.lines or ("",))[0],
        }
        found.append(replace(event, data=data, lines=(*event.lines, head, *(f"    {line}" for line in between.lines))))
    return found


def repository_of(image: str, repositories: Sequence[Repository]) -> Repository | None:
    """Return the repository of the longest *image* prefix that ends at a part of the image's name."""
    name = re.sub(r"@sha256:[0-9a-f]+$", "", image)
    name = re.sub(r":[^/:]+$", "", name)
    fitting = [each for each in repositories if name == each.image or name.startswith(each.image.rstrip("/") + "/")]
    return max(fitting, key=lambda each: len(each.image), default=None)


def _tag(image: str) -> str:
    found = re.search(r":([^/:@]+)(?:@sha256:[0-9a-f]+)?$", image)
    return found[1] if found else ""


async def compare(repository: Repository, before: str, after: str, ask: Callable[[str], str]) -> Commits:
    """Return the commits from *before* to *after*; Permanent for a tag that is none, or one that the host does not know."""
    if not _REF.fullmatch(before) or not _REF.fullmatch(after):
        raise Permanent(
            f"{repository.project}: {before!r} and {after!r} are not both tags, so no commits are between them"
        )
    base = (repository.url or PUBLIC[repository.host]).rstrip("/")
    tried = ask(f"{repository.host} {repository.project} compare {before}...{after}")
    headers = {"Accept": "application/vnd.github+json"} if repository.host == "github" else {}
    web = client(base, headers, repository.access, TIMEOUT_S)
    try:
        if repository.host == "github":
            path = f"/repos/{quote(repository.project)}/compare/{before}...{after}"
            return _github(await get_json(web, path, [("per_page", "100")], tried), tried)
        path = f"/api/v4/projects/{quote(repository.project, safe='')}/repository/compare"
        return _gitlab(await get_json(web, path, [("from", before), ("to", after)], tried), tried)
    finally:
        await web.aclose()


def _github(answer: Any, tried: str) -> Commits:
    try:
        rows = [
            (row["sha"], row["commit"]["message"], (row["commit"].get("author") or {}).get("name"))
            for row in answer["commits"]
        ]
        return _told(rows[::-1], int(answer.get("total_commits") or len(rows)), str(answer.get("html_url") or ""))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise Permanent(f"{tried}: the answer is not a comparison ({type(exc).__name__})") from exc


def _gitlab(answer: Any, tried: str) -> Commits:
    try:
        rows = [(row["id"], row.get("message") or row["title"], row.get("author_name")) for row in answer["commits"]]
        return _told(rows[::-1], len(rows), str(answer.get("web_url") or ""))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise Permanent(f"{tried}: the answer is not a comparison ({type(exc).__name__})") from exc


def _told(rows: Sequence[tuple[Any, Any, Any]], total: int, link: str) -> Commits:
    lines = tuple(
        f"{str(sha)[:8]} {str(message).partition(chr(10))[0][:120]} ({who or '?'})"
        for sha, message, who in rows[:MAX_SHOWN]
    )
    return Commits(lines, total, link)
