"""What the practice containers have written, by stream; filled by traffic and kubelet, read by Loki and pods/log."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

_LINES_PER_STREAM = 6000


@dataclass(frozen=True, slots=True)
class Line:
    """One line: nanoseconds since the epoch, text, and which start of the container wrote it."""

    ns: int
    text: str
    instance: int


@dataclass
class Stream:
    """The lines of one container of one pod, oldest first."""

    labels: dict[str, str]
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=_LINES_PER_STREAM))


class LogStore:
    """Streams with the labels namespace, app, pod and container."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str, str], Stream] = {}

    def add(self, namespace: str, app: str, pod: str, container: str, line: Line) -> None:
        """Append a line; times within a stream never go back and never repeat."""
        key = (namespace, pod, container)
        stream = self._streams.get(key)
        if stream is None:
            labels = {"namespace": namespace, "app": app, "pod": pod, "container": container}
            stream = self._streams[key] = Stream(labels)
        if stream.lines and line.ns <= stream.lines[-1].ns:
            line = Line(stream.lines[-1].ns + 1, line.text, line.instance)
        stream.lines.append(line)

    def streams(self) -> Iterator[Stream]:
        """Every stream."""
        yield from self._streams.values()

    def of(self, namespace: str, pod: str, container: str) -> list[Line]:
        """All lines of one container."""
        stream = self._streams.get((namespace, pod, container))
        return list(stream.lines) if stream else []

    def trim(self, oldest_ns: int) -> None:
        """Forget older lines and empty streams."""
        for key, stream in list(self._streams.items()):
            while stream.lines and stream.lines[0].ns < oldest_ns:
                stream.lines.popleft()
            if not stream.lines:
                del self._streams[key]
