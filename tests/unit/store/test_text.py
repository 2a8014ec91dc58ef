"""Words and passages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.store.text import MAX_PASSAGE, MAX_WORDS, query_words, read_document, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("KubePodCrashLooping", ["kubepodcrashlooping", "kube", "pod", "crash", "looping"]),
        ("HTTPServerErrors5xx", ["httpservererrors5xx", "http", "server", "errors", "xx"]),
        ("etcdHighFsyncDurations", ["etcdhighfsyncdurations", "etcd", "high", "fsync", "durations"]),
        ("kube_pod_status", ["kube", "pod", "status"]),
        ("Café naïve", ["cafe", "naive"]),
        ("磁盘空间 full", ["磁盘", "盘空", "空间", "full"]),
        ("pod磁盘x", ["磁盘", "pod", "x"]),
        ("{{ $labels.pod }} restarted", ["restarted"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]):
    assert words(text) == expected


@given(st.text(st.characters(codec=None), max_size=2000))
def test_query_words_are_few_short_and_plain(text: str):
    found = query_words(text)
    assert len(found) == len(set(found)) <= MAX_WORDS
    assert all(0 < len(word) <= 60 and word.isprintable() and "'" not in word for word in found)


def test_a_runbook_is_read():
    text = '---\ntitle: "Disk full"\nservice: cart\nlink: https://x\nlist:\n - a\n---\n# Disk full\n## Meaning\nFull.\n'
    document = read_document(text, "ops/DiskFull.md")
    assert (document.title, document.service, document.link) == ("Disk full", "cart", "https://x")
    assert [(passage.heading, passage.text) for passage in document.passages] == [
        ("Disk full > Meaning", "Meaning\nFull.")
    ]


def test_the_file_name_is_searched_when_the_title_differs():
    assert read_document("# Something", "ops/DiskFull.md").title == "Something (DiskFull)"
    assert read_document("no heading", "ops/DiskFull.md").title == "ops/DiskFull.md"


def test_a_comment_in_a_code_block_is_no_heading_and_long_sections_are_cut_at_lines():
    text = "# A\n```\n# comment\n```\n## B\n" + "\n".join(f"line {number}" for number in range(1000))
    passages = read_document(text, "a.md").passages
    assert {passage.heading for passage in passages} == {"A", "A > B"}
    assert all(len(passage.text) <= MAX_PASSAGE for passage in passages)
    assert all(line.startswith(("line ", "B")) for passage in passages[1:] for line in passage.text.split("\n"))


@given(st.text(st.sampled_from("#`~- \n\r:ab磁\x00\ufeff"), max_size=400))
def test_any_document_can_be_read_and_no_word_is_lost(text: str):
    document = read_document(text, "x.md")
    assert all(0 < len(passage.text) <= MAX_PASSAGE for passage in document.passages)


@pytest.mark.parametrize("heading", ["H", "long" * 100])
@pytest.mark.parametrize("line_end", ["", "\n"])
def test_nothing_of_a_long_body_is_lost(heading: str, line_end: str):
    body = line_end.join(f"{number:05}" for number in range(3000))
    passages = read_document(f"# {heading}\n{body}", "x.md").passages
    kept = "".join(passage.text.removeprefix(heading[:200]) for passage in passages).replace("\n", "")
    assert kept == body.replace("\n", "")
