"""Text for searching: which words a passage or an alert consists of, and how a runbook is cut into passages.

Pure; tools/store/knowledge.py calls it. Words go into Postgres as parameters only.
"""

import re
import unicodedata
from dataclasses import dataclass

MAX_PASSAGE = 2400
"""Characters: most runbooks are two or three passages of this size, and a model reads five of them for ~3k tokens."""
MAX_WORDS = 64
"""Different words of one query: an alert's name, summary and description fit; a pasted log does not drown them."""

_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_TOKEN = re.compile(r"[^\W_]+")
_MIXED = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2}[a-z]|[A-Za-z]\d|\d[A-Za-z]")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_TEMPLATE = re.compile(r"\{\{.*?\}\}", re.DOTALL)


@dataclass(frozen=True)
class Passage:
    """A part of a document under its headings; *text* is at most MAX_PASSAGE characters."""

    heading: str
    text: str


@dataclass(frozen=True)
class Document:
    """A runbook: front matter read, body cut into passages."""

    title: str
    service: str
    severity: str
    link: str
    passages: tuple[Passage, ...]


def words(text: str) -> list[str]:
    """Return the lower-case words of *text* in order: accents removed, CamelCase also split, CJK as pairs of characters."""
    plain = unicodedata.normalize("NFKD", _TEMPLATE.sub(" ", text))
    plain = unicodedata.normalize("NFC", "".join(char for char in plain if not unicodedata.combining(char)))
    found: list[str] = []
    for token in _TOKEN.findall(plain):
        if _CJK.search(token):
            found.extend(_pairs(token))
            continue
        found.append(token.lower())
        if _MIXED.search(token):
            found.extend(part.lower() for part in _CAMEL.findall(token) if len(part) > 1)
    return found


def _pairs(token: str) -> list[str]:
    found: list[str] = []
    for run in _CJK.findall(token):
        found.extend(run[place : place + 2] for place in range(max(1, len(run) - 1)))
    found.extend(part.lower() for part in _CJK.split(token) if part)
    return found


def query_words(text: str) -> list[str]:
    """Return the first MAX_WORDS different words of *text* that are at most 60 characters long."""
    return list(dict.fromkeys(word for word in words(text) if len(word) <= 60))[:MAX_WORDS]


def read_document(text: str, name: str) -> Document:
    """Read a Markdown runbook; *name* is its title when it has neither front matter nor a heading."""
    meta, body = _front_matter(text)
    sections = _sections(body)
    first = next((heading for heading, _ in sections if heading), "")
    title = meta.get("title") or first or name
    stem = name.rsplit("/", 1)[-1].removesuffix(".md")
    if stem.casefold().replace(" ", "") not in title.casefold().replace(" ", ""):
        title = f"{title} ({stem})"
    passages = tuple(passage for heading, lines in sections for passage in _cut(heading, lines))
    return Document(
        title=title,
        service=meta.get("service", ""),
        severity=meta.get("severity", ""),
        link=meta.get("link", "") or meta.get("url", ""),
        passages=_merged(passages),
    )


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """Split off ``---`` front matter; only flat ``key: value`` lines of it are read."""
    lines = text.lstrip("\ufeff").replace("\r\n", "\n").split("\n")
    if lines[0].strip() != "---":
        return {}, "\n".join(lines)
    for end, line in enumerate(lines[1:], start=1):
        if line.strip() == "---":
            pairs = (entry.partition(":") for entry in lines[1:end] if ":" in entry and not entry.startswith(" "))
            return {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs}, "\n".join(
                lines[end + 1 :]
            )
    return {}, "\n".join(lines)


def _sections(body: str) -> list[tuple[str, list[str]]]:
    """Return (path of headings, lines) for each heading; a # inside a code fence is no heading."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    path: list[tuple[int, str]] = []
    fenced = False
    for line in body.split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        heading = None if fenced else _HEADING.match(line)
        if heading:
            level = len(heading[1])
            path = [*(entry for entry in path if entry[0] < level), (level, heading[2])]
            sections.append((" > ".join(name for _, name in path), []))
        else:
            sections[-1][1].append(line)
    return sections


def _cut(heading: str, lines: list[str]) -> list[Passage]:
    """Cut a section at line ends into pieces that fit below its heading."""
    room = MAX_PASSAGE - len(_name(heading)) - 1
    pieces: list[str] = []
    piece = ""
    for line in "\n".join(lines).strip().split("\n"):
        for part in [line[at : at + room] for at in range(0, len(line), room)] or [""]:
            if piece and len(piece) + len(part) + 1 > room:
                pieces.append(piece.strip())
                piece = ""
            piece = f"{piece}\n{part}" if piece else part
    pieces.append(piece.strip())
    return [Passage(heading, each) for each in pieces if each]


def _merged(passages: tuple[Passage, ...]) -> tuple[Passage, ...]:
    """Join neighbours while they fit, each under its own heading: a runbook's short sections belong together."""
    merged: list[Passage] = []
    for passage in passages:
        name = _name(passage.heading)
        whole = f"{name}\n{passage.text}" if name else passage.text
        if merged and len(merged[-1].text) + len(whole) + 2 <= MAX_PASSAGE:
            merged[-1] = Passage(merged[-1].heading, f"{merged[-1].text}\n\n{whole}")
        else:
            merged.append(Passage(passage.heading, whole))
    return tuple(merged)


def _name(path: str) -> str:
    return path.rsplit(" > ", 1)[-1][:200]
