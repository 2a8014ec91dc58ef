"""How well the knowledge store finds an alert's runbook: `python bench/retrieval.py DATA_FOLDER`.

DATA_FOLDER holds corpus.jsonl ({id, text}: runbooks in Markdown) and queries_kube_prometheus.jsonl (alerts with the id of
their runbook). The alert's name equals the runbook's title, so it is taken out of the query: "name removed" asks with
summary and description, "description only" with the description. The baseline is one whole document per row, plain
websearch terms joined by "or", ordered by ts_rank.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.store import embedded
from tools.store.db import Database
from tools.store.knowledge import KnowledgeStore
from tools.store.migrate import migrate

Search = Callable[[str], Awaitable[list[str]]]

BASELINE = b"""
SELECT id FROM plain
WHERE words @@ websearch_to_tsquery('english', %(query)s)
ORDER BY ts_rank(words, websearch_to_tsquery('english', %(query)s)) DESC, id
LIMIT 10
"""


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def forms(query: dict[str, Any]) -> dict[str, str]:
    """Return the texts to ask with."""
    said = f"{query['summary']} {query['description']}".replace(query["alert"], " ")
    return {
        "with name": f"{query['alert']} {said}",
        "name removed": said,
        "description only": query["description"].replace(query["alert"], " "),
    }


async def measure(queries: list[dict[str, Any]], form: str, search: Search) -> str:
    """Ask every query and return a line of figures."""
    reciprocal = recalled = 0.0
    seconds = []
    for query in queries:
        started = time.perf_counter()
        found = await search(forms(query)[form])
        seconds.append(time.perf_counter() - started)
        rank = found.index(query["relevant"]) + 1 if query["relevant"] in found else 0
        reciprocal += 1 / rank if rank else 0
        recalled += 1 <= rank <= 5
    p50 = sorted(seconds)[len(seconds) // 2] * 1000
    return f"mrr={reciprocal / len(queries):.3f} recall5={recalled / len(queries):.3f} p50_ms={p50:.1f}"


async def run(data: Path) -> None:
    """Load the corpus, ask, print."""
    corpus, queries = lines(data / "corpus.jsonl"), lines(data / "queries_kube_prometheus.jsonl")
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = await embedded.start(Path(folder) / "pg", {"fsync": "off"})
        await migrate(server.dsn)
        db = await Database.open(server.dsn)
        try:
            await load(db, corpus, Path(folder) / "runbooks")
            for form in ("with name", "name removed", "description only"):
                for name, search in searches(db).items():
                    print(f"{form:>16}  {name:<10} {await measure(queries, form, search)}")
        finally:
            await db.aclose()
            await server.stop()


async def load(db: Database, corpus: list[dict[str, Any]], folder: Path) -> None:
    """Store the corpus as runbooks and as the baseline's plain documents."""
    for document in corpus:
        path = folder / document["id"]
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(path.write_text, document["text"], encoding="utf-8")
    started = time.perf_counter()
    synced = await KnowledgeStore(db).sync_runbooks(folder)
    print(f"{synced.added} runbooks, {synced.passages} passages, {time.perf_counter() - started:.1f} s")
    async with db.transaction() as conn:
        await conn.execute("CREATE TABLE plain (id text, words tsvector)")
        async with conn.cursor() as cursor:
            await cursor.executemany("INSERT INTO plain VALUES (%(id)s, to_tsvector('english', %(text)s))", corpus)


def searches(db: Database) -> dict[str, Search]:
    """Return what is compared."""
    store = KnowledgeStore(db)

    async def ours(text: str) -> list[str]:
        found = await store.recall(text, limit=10)
        return [each.id.removeprefix("runbook:").rsplit("#", 1)[0] for each in found]

    async def plain(text: str) -> list[str]:
        async with db.connection() as conn:
            asked = {"query": " or ".join("".join(char if char.isalnum() else " " for char in text).split())}
            return [row["id"] for row in await (await conn.execute(BASELINE, asked)).fetchall()]

    return {"tocsin": ours, "ts_rank": plain}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    asyncio.run(run(parser.parse_args().data))
