"""Runbooks and lessons, searched by words, by likeness of the title and, when embeddings are configured, by meaning.

bot/compose.py makes one KnowledgeStore; it satisfies agents.ports.Knowledge. The arms' results are fused by reciprocal rank
(Cormack, Clarke and Buettcher 2009, k = 60), then raised for the same service and severity. Alert text is untrusted: it
reaches Postgres as parameters, its words one by one, and can be anything. bench/retrieval.py measures the whole.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import structlog

from tools.errors import TocsinError
from tools.records import Lesson, Recalled, Record
from tools.store import text as texts
from tools.store.db import Connection, Database, as_json, clean, queries

Embed = Callable[[list[str]], Awaitable[list[list[float]]]]

log = structlog.get_logger()
_SQL = queries("knowledge")
_K = 60
_DEPTH = 50
# How much an arm's opinion counts; measured with bench/retrieval.py: titles alone mislead, words lead.
_WEIGHTS = {"full text": 1.0, "title": 0.1, "vectors": 0.7}
_ALIKE = 0.5  # word_similarity below this is noise on titles of two or three words
_TITLE_WORDS = 20  # what a query begins with: the alert's name and summary
_OTHER_SERVICE = 0.5
_SAME_SERVICE = 1.5
_SAME_SEVERITY = 1.1
_LESSON_FLOOR = 0.5  # a lesson whose solution did not work counts half of one whose solution did
_BATCH = 64
_EMBED_S = 20.0
_HALF_MAX = 65_504


class Synced(Record):
    """What a sync of a runbook folder did: files by what became of them, and passages stored now."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    unreadable: tuple[str, ...] = ()
    passages: int = 0


class KnowledgeStore:
    """Recall and keep; *embed* turns texts into vectors (any one dimension), *model* names what made them.

    *embed* may raise TocsinError, OSError, ValueError or TimeoutError: then words alone are searched, and `mode` says so.
    """

    def __init__(self, db: Database, embed: Embed | None = None, model: str = "default") -> None:
        self._db = db
        self._embed = embed
        self._model = model
        self._broken = ""

    @property
    def mode(self) -> str:
        """How searches work now: "full text only", with the reason when vectors were wanted, or "full text + vectors"."""
        if self._embed is None:
            return "full text only"
        return f"full text only (embeddings failed: {self._broken})" if self._broken else "full text + vectors"

    async def recall(
        self,
        text: str,
        service: str = "",
        severity: str = "",
        limit: int = 5,
        kinds: Sequence[str] = ("runbook", "lesson"),
    ) -> list[Recalled]:
        """Return the best passages for *text*, best first, at most one of each document; [] when nothing is like it.

        General passages and those of *service* come before other services' of equal rank.
        """
        query = clean(text)[:20_000]
        vector = await self._vector(query)
        async with self._db.connection() as conn:
            arms = await self._arms(conn, query, vector, list(kinds))
            scores, how = _fused(arms)
            rows = await (await conn.execute(_SQL["by_ids"], {"ids": list(scores)})).fetchall()
            records = await (await conn.execute(_SQL["lessons_of"], {"ids": list(scores)})).fetchall()
        worked = {row["id"]: float(row["effectiveness"]) for row in records}
        found = [_recalled(row, scores[row["id"]] * _boost(row, service, severity, worked), how) for row in rows]
        best: dict[tuple[str, str], Recalled] = {}
        source = {row["id"]: (row["kind"], row["source"]) for row in rows}
        for each in sorted(found, key=lambda each: (-each.score, each.id)):
            best.setdefault(source[each.id], each)
        return list(best.values())[:limit]

    async def keep(self, lesson: Lesson) -> None:
        """Store or replace *lesson* by its id."""
        body = "\n".join(filter(None, [lesson.symptoms, f"Cause: {lesson.cause}", f"Solution: {lesson.solution}"]))
        row = _row(
            identity=f"lesson:{lesson.id}",
            kind="lesson",
            source=lesson.id,
            title=f"{lesson.title}",
            text=body,
            extra=f"{lesson.alert_name} {lesson.service}",
        )
        row |= {
            "service": clean(lesson.service),
            "severity": lesson.severity,
            "incident_id": lesson.incident_id,
            "record": as_json(lesson.model_dump(mode="json")),
        }
        async with self._db.transaction() as conn:
            await conn.execute(_SQL["upsert"], row)
        await self.embed_missing()

    async def lessons(self, service: str | None = None, limit: int = 50) -> list[Lesson]:
        """Return kept lessons, newest first."""
        async with self._db.connection() as conn:
            rows = await (await conn.execute(_SQL["lessons"], {"service": service, "limit": limit})).fetchall()
        return [Lesson.model_validate(row["record"]) for row in rows]

    async def sync_runbooks(self, folder: Path) -> Synced:
        """Make the stored runbooks those of *folder* (``**/*.md``): unchanged files are left, vanished ones removed.

        Raises FileNotFoundError for a folder that is not there, so a typing error does not empty the store.
        """
        files, unreadable = await asyncio.to_thread(_read_folder, folder)
        async with self._db.transaction() as conn:
            await conn.execute(_SQL["lock_runbooks"])
            stored = {
                row["source"]: row["content_hash"] for row in await (await conn.execute(_SQL["sources"])).fetchall()
            }
            fresh = {name: content for name, content in files.items() if stored.get(name) != _hash(content)}
            gone = set(stored) - set(files) - set(unreadable)
            for name in [*gone, *(name for name in fresh if name in stored)]:
                await conn.execute(_SQL["remove_source"], {"source": name})
            rows = [row for name, content in fresh.items() for row in _runbook_rows(name, content)]
            if rows:
                async with conn.cursor() as cursor:
                    await cursor.executemany(_SQL["upsert"], rows)
        await self.embed_missing()
        changed = len(fresh.keys() & stored.keys())
        return Synced(
            added=len(fresh) - changed,
            changed=changed,
            removed=len(gone),
            unchanged=len(files) - len(fresh),
            unreadable=tuple(unreadable),
            passages=len(rows),
        )

    async def embed_missing(self, most: int = 2000) -> int:
        """Embed passages that have no vector of this model yet, up to *most*; return how many. 0 when embedding fails."""
        done = 0
        while self._embed is not None and done < most:
            async with self._db.connection() as conn:
                asked = {"model": self._model, "limit": _BATCH}
                rows = await (await conn.execute(_SQL["without_vector"], asked)).fetchall()
            vectors = await self._vectors([f"{row['title']}\n{row['text']}" for row in rows]) if rows else []
            if not vectors:
                break
            values = [
                {"id": row["id"], "text": row["text"], "vector": _vector_text(vector), "model": self._model}
                for row, vector in zip(rows, vectors, strict=True)
            ]
            async with self._db.transaction() as conn, conn.cursor() as cursor:
                await cursor.executemany(_SQL["set_vector"], values)
            done += len(rows)
        return done

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return documents, passages and embedded passages by kind."""
        async with self._db.connection() as conn:
            rows = await (await conn.execute(_SQL["count"])).fetchall()
        return {row["kind"]: {key: row[key] for key in ("sources", "passages", "embedded")} for row in rows}

    async def _arms(
        self, conn: Connection, query: str, vector: list[float] | None, kinds: list[str]
    ) -> dict[str, list[str]]:
        said = texts.query_words(query)
        asked: dict[str, Any] = {"kinds": kinds, "limit": _DEPTH, "words": said, "least": _ALIKE, "model": self._model}
        asked["text"] = " ".join(said[:_TITLE_WORDS])
        statements = {"full text": "by_words", "title": "by_likeness"}
        if vector is not None:
            asked["vector"] = _vector_text(vector)
            statements["vectors"] = "by_vector"
        return {
            arm: [row["id"] for row in await (await conn.execute(_SQL[name], asked)).fetchall()]
            for arm, name in statements.items()
        }

    async def _vector(self, text: str) -> list[float] | None:
        vectors = await self._vectors([text]) if self._embed and text.strip() else []
        return vectors[0] if vectors else None

    async def _vectors(self, passages: list[str]) -> list[list[float]]:
        """Embed, or return [] and remember why; the next call tries again."""
        assert self._embed is not None  # noqa: S101 - the callers looked
        try:
            async with asyncio.timeout(_EMBED_S):
                vectors = await self._embed(passages)
        except (TocsinError, OSError, ValueError, TimeoutError) as error:
            return self._failed(f"{type(error).__name__}: {error}")
        if len(vectors) != len(passages) or not _usable(vectors):
            return self._failed(f"unusable vectors came back for {len(passages)} texts")
        self._broken = ""
        return vectors

    def _failed(self, why: str) -> list[list[float]]:
        if not self._broken:
            log.warning("knowledge.embedding_failed", error=why)
        self._broken = why[:200]
        return []


def _fused(arms: Mapping[str, Iterable[str]]) -> tuple[dict[str, float], dict[str, str]]:
    scores: dict[str, float] = defaultdict(float)
    how: dict[str, list[str]] = defaultdict(list)
    for arm, ids in arms.items():
        for rank, identity in enumerate(ids, start=1):
            scores[identity] += _WEIGHTS[arm] / (_K + rank)
            how[identity].append(arm)
    return scores, {identity: " + ".join(found) for identity, found in how.items()}


def _boost(row: Mapping[str, Any], service: str, severity: str, worked: Mapping[str, float]) -> float:
    boost = 1.0
    if service and row["service"]:
        boost *= _SAME_SERVICE if row["service"] == service else _OTHER_SERVICE
    if severity and row["severity"] == severity:
        boost *= _SAME_SEVERITY
    effectiveness = worked.get(row["id"], 1.0)
    return boost * (_LESSON_FLOOR + (1 - _LESSON_FLOOR) * effectiveness)


def _recalled(row: Mapping[str, Any], score: float, how: Mapping[str, str]) -> Recalled:
    fields = ("id", "kind", "title", "text", "service", "severity", "incident_id", "link")
    return Recalled(**{field: row[field] for field in fields}, score=score, how=how[row["id"]])


def _read_folder(folder: Path) -> tuple[dict[str, str], list[str]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"The runbook folder {folder} is not there; check knowledge.runbooks in tocsin.yaml.")
    files: dict[str, str] = {}
    unreadable: list[str] = []
    for path in sorted(folder.rglob("*.md")):
        name = path.relative_to(folder).as_posix()
        try:
            files[name] = clean(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            unreadable.append(name)
    return files, unreadable


def _runbook_rows(name: str, content: str) -> list[dict[str, Any]]:
    document = texts.read_document(content, name)
    rows = []
    for ordinal, passage in enumerate(document.passages or (texts.Passage("", document.title),)):
        row = _row(
            identity=f"runbook:{name}#{ordinal}",
            kind="runbook",
            source=name,
            title=document.title,
            text=passage.text,
            extra=passage.heading,
        )
        row |= {
            "ordinal": ordinal,
            "service": document.service,
            "severity": document.severity,
            "link": document.link,
            "content_hash": _hash(content),
        }
        rows.append(row)
    return rows


def _row(
    *, identity: str, kind: Literal["runbook", "lesson"], source: str, title: str, text: str, extra: str
) -> dict[str, Any]:
    """Return the columns of one passage; *extra* is searched like the title without being shown."""
    title, text, extra = clean(title), clean(text), clean(extra)
    return {
        "id": clean(identity),
        "kind": kind,
        "source": clean(source),
        "ordinal": 0,
        "title": title,
        "text": text,
        "service": "",
        "severity": "",
        "incident_id": None,
        "link": "",
        "record": None,
        "content_hash": _hash(f"{title}\n{extra}\n{text}"),
        "title_words": " ".join(texts.words(f"{title} {extra}")),
        "body_words": " ".join(texts.words(text)),
    }


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _usable(vectors: list[list[float]]) -> bool:
    """Whether a halfvec can hold them: one dimension of 1 to 16,000, no number past half precision, none NaN."""
    dimensions = {len(vector) for vector in vectors}
    if len(dimensions) != 1 or not 1 <= dimensions.pop() <= 16_000:
        return False
    return all(abs(value) <= _HALF_MAX for vector in vectors for value in vector)


def _vector_text(vector: Sequence[float]) -> str:
    return f"[{','.join(repr(float(value)) for value in vector)}]"
