"""Recall and sync on a real Postgres with pgvector: words, vectors, their failing, and hostile queries."""

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.store.samples import lesson
from tools.errors import Temporary
from tools.store.db import Database
from tools.store.knowledge import KnowledgeStore

CRASH = """---
title: Kube Pod Crash Looping
severity: warning
---
# KubePodCrashLooping

## Meaning
A container of the pod restarts again and again.

## Mitigation
Look at the exit code; `# not a heading`.
"""
DISK = "# NodeFilesystemSpaceFillingUp\n\nThe disk of a node is predicted to run out of space.\n"
CHINESE = "# 磁盘空间不足\n\n节点的磁盘空间即将用完, 请清理日志。\n"
PAYMENT = "---\nservice: payment\n---\n# Disk of payment\n\nThe disk fills up with receipts; run out of space.\n"


class Topics:
    """An embedding of three dimensions: how much a text is about crashing, about disks, about anything else."""

    def __init__(self) -> None:
        self.broken = False
        self.calls = 0

    async def embed(self, passages: list[str]) -> list[list[float]]:
        self.calls += 1
        if self.broken:
            raise Temporary("the model is away")
        return [self._one(text.lower()) for text in passages]

    @staticmethod
    def _one(text: str) -> list[float]:
        about = [sum(map(text.count, words)) for words in (("crash", "restart", "dies"), ("disk", "space", "storage"))]
        return [float(about[0]), float(about[1]), 0.1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "KubePodCrashLooping.md").write_text(CRASH)
    (tmp_path / "sub" / "disk.md").write_text(DISK)
    (tmp_path / "zh.md").write_text(CHINESE)
    return tmp_path


async def _titles(store: KnowledgeStore, text: str, **options: object) -> list[str]:
    return [found.id for found in await store.recall(text, **options)]


async def test_a_folder_is_synced_and_synced_again(db: Database, folder: Path):
    store = KnowledgeStore(db)
    first = await store.sync_runbooks(folder)
    assert (first.added, first.unchanged, first.passages) == (3, 0, 3)
    again = await store.sync_runbooks(folder)
    assert (again.added, again.changed, again.removed, again.unchanged, again.passages) == (0, 0, 0, 3, 0)
    (folder / "zh.md").unlink()
    (folder / "sub" / "disk.md").write_text(DISK + "\nClean it.\n")
    third = await store.sync_runbooks(folder)
    assert (third.added, third.changed, third.removed, third.unchanged) == (0, 1, 1, 1)
    assert await _titles(store, "磁盘空间") == []
    assert (await store.counts())["runbook"] == {"sources": 2, "passages": 2, "embedded": 0}


async def test_a_folder_that_is_not_there_empties_nothing_and_an_unreadable_file_keeps_its_passages(
    db: Database, folder: Path
):
    store = KnowledgeStore(db)
    await store.sync_runbooks(folder)
    with pytest.raises(FileNotFoundError, match=r"tocsin\.yaml"):
        await store.sync_runbooks(folder / "nowhere")
    (folder / "zh.md").write_bytes(b"\xff\xfe broken")
    (folder / "empty.md").write_text("")
    synced = await store.sync_runbooks(folder)
    assert (synced.unreadable, synced.removed, synced.added) == (("zh.md",), 0, 1)
    assert (await store.sync_runbooks(folder)).added == 0
    assert await _titles(store, "磁盘空间") == ["runbook:zh.md#0"]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("KubePodCrashLooping", "KubePodCrashLooping.md"),
        ("kube pod crash looping", "KubePodCrashLooping.md"),
        ("container restarts", "KubePodCrashLooping.md"),
        ("the node's disk is running out of space: {{ $labels.instance }}", "sub/disk.md"),
        ("NodeFilesystemAlmostOutOfSpace", "sub/disk.md"),
        ("节点磁盘快满了", "zh.md"),
        ("kubepodcrashloping", "KubePodCrashLooping.md"),  # a slip of the pen
    ],
)
async def test_words_find_the_runbook(db: Database, folder: Path, query: str, first: str):
    store = KnowledgeStore(db)
    await store.sync_runbooks(folder)
    assert store.mode == "full text only"
    assert (await _titles(store, query))[:1] == [f"runbook:{first}#0"]


async def test_nothing_alike_is_nothing(db: Database, folder: Path):
    store = KnowledgeStore(db)
    assert await store.recall("disk") == []
    await store.sync_runbooks(folder)
    assert await store.recall("zebra umbrella") == []
    assert await store.recall("") == []
    assert await store.recall("the of and") == []


async def test_the_service_and_the_severity_are_preferred(db: Database, folder: Path):
    (folder / "payment.md").write_text(PAYMENT)
    store = KnowledgeStore(db)
    await store.sync_runbooks(folder)
    text = "disk runs out of space"
    assert (await _titles(store, text, service="payment"))[0] == "runbook:payment.md#0"
    assert (await _titles(store, text, service="cart"))[0] == "runbook:sub/disk.md#0"


async def test_lessons_are_kept_replaced_and_recalled_by_what_worked(db: Database):
    store = KnowledgeStore(db)
    await store.keep(lesson("bad", effectiveness=0.0))
    await store.keep(lesson("good", effectiveness=1.0))
    found = await store.recall("checkout 500 after rollout", service="checkout", severity="critical")
    assert [each.id for each in found] == ["lesson:good", "lesson:bad"]
    assert found[0].kind == "lesson"
    assert found[0].incident_id == 1
    assert "Rolled back" in found[0].text
    await store.keep(lesson("good", effectiveness=0.2, title="Another title"))
    assert {each.id: each.title for each in await store.lessons("checkout")}["good"] == "Another title"
    assert len(await store.lessons()) == 2
    assert await store.recall("checkout 500", kinds=("runbook",)) == []


async def test_vectors_find_what_words_do_not(db: Database, folder: Path):
    topics = Topics()
    store = KnowledgeStore(db, topics.embed, "topics-3")
    await store.sync_runbooks(folder)
    found = await store.recall("it dies")
    assert found[0].id == "runbook:KubePodCrashLooping.md#0"
    assert (found[0].how, store.mode) == ("vectors", "full text + vectors")
    assert (await store.counts())["runbook"]["embedded"] == 3
    both = await store.recall("disk space")
    assert both[0].how == "full text + vectors"


async def test_a_failing_model_leaves_words_and_is_made_up_for_later(db: Database, folder: Path):
    topics = Topics()
    store = KnowledgeStore(db, topics.embed, "topics-3")
    topics.broken = True
    await store.sync_runbooks(folder)
    assert (await _titles(store, "disk space"))[0] == "runbook:sub/disk.md#0"
    assert store.mode == "full text only (embeddings failed: Temporary: the model is away)"
    topics.broken = False
    assert await store.embed_missing() == 3
    assert store.mode == "full text + vectors"
    calls = topics.calls
    assert await store.embed_missing() == 0
    assert topics.calls == calls


async def test_another_models_vectors_are_not_compared(db: Database, folder: Path):
    old = KnowledgeStore(db, Topics().embed, "topics-3")
    await old.sync_runbooks(folder)

    async def wide(passages: list[str]) -> list[list[float]]:
        return [[1.0, 0.0, 0.0, 0.0, 0.0]] * len(passages)

    new = KnowledgeStore(db, wide, "wide-5")
    assert (await _titles(new, "it dies")) == []
    assert await new.embed_missing() == 3
    assert len(await _titles(new, "it dies")) == 3
    renamed = KnowledgeStore(db, Topics().embed, "wide-5")  # the endpoint changed its model without changing its name
    assert await _titles(renamed, "it dies") == []


@pytest.mark.parametrize(
    "vectors", [[], [[]], [[math.nan, 1.0]], [[1e6, 1.0]], [[1.0], [1.0]], [[1.0] * 16_001]], ids=range(6)
)
async def test_vectors_that_do_not_fit_are_refused(db: Database, folder: Path, vectors: list[list[float]]):
    async def odd(passages: list[str]) -> list[list[float]]:
        return vectors

    store = KnowledgeStore(db, odd, "odd")
    await store.sync_runbooks(folder)
    assert (await _titles(store, "disk space"))[0] == "runbook:sub/disk.md#0"
    assert "unusable vectors" in store.mode


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(st.characters(codec=None), max_size=300),
        st.text("'\"\\:&|!()<->*%{}$;\x00 ab磁盘", max_size=80),
        st.just("a & b | !(c:*) <-> 'd'::tsquery; DROP TABLE knowledge; -- %(words)s %s"),
        st.just("Word" * 5000),
    )
)
async def test_any_text_can_be_asked_with(db: Database, text: str):
    store = KnowledgeStore(db)
    await store.keep(lesson())
    await store.recall(text, service=text[:50].replace("\x00", ""), severity="critical")
