"""Postgres and Redis, as the doctor sees them."""

from pathlib import Path

from bot import compose
from bot.doctor.check import Check, fail, off, ok, warn
from bot.settings import Settings
from tools.cache import connect
from tools.errors import TocsinError
from tools.store import health, migrate

NAME = "postgres"
OLDEST = 150000  # CI runs on 18; 15 is the oldest that the migrations were run on


async def postgres(settings: Settings) -> list[Check]:
    """Check the server, its extensions and its schema; an embedded one is only started when its folder exists."""
    given = bool(settings.database_url)
    if not given and not (settings.data_dir.exists() and any(settings.data_dir.glob("pg*/PG_VERSION"))):
        return [_future(settings.data_dir)]
    try:
        async with compose.database(settings) as dsn:
            return [*_server(await health.look(dsn), given=given), *await _schema(dsn)]
    except TocsinError as error:
        remedy = "check DATABASE_URL: host, port, name and password" if given else "see the message"
        return [fail(NAME, str(error), remedy)]


def _future(folder: Path) -> Check:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if folder.is_dir():
        return ok(NAME, f"embedded; the first start will create it below {folder}")
    return fail(NAME, f"{folder} is not a folder", "set TOCSIN_DATA_DIR to a folder of your own, or set DATABASE_URL")


def _server(seen: health.Health, *, given: bool) -> list[Check]:
    what = f"PostgreSQL {seen.version}, {'DATABASE_URL' if given else 'embedded'}"
    checks = [ok(NAME, what)]
    if seen.standby:
        checks = [fail(NAME, f"{what}: a standby, which takes no writes", "point DATABASE_URL at the primary")]
    elif seen.number < OLDEST:
        checks = [warn(NAME, f"{what}: older than Tocsin is tested on", "move to PostgreSQL 15 or newer")]
    for name in health.EXTENSIONS:
        if name in seen.installed:
            checks.append(ok(f"{NAME} {name}", f"extension {name} {seen.installed[name]}"))
        elif name in seen.available:
            remedy = f"`tocsin migrate` creates it if this role may; else as a superuser: CREATE EXTENSION {name}"
            checks.append(warn(f"{NAME} {name}", f"extension {name} is available and not created yet", remedy))
        else:
            package = "pgvector (package postgresql-NN-pgvector)" if name == "vector" else "postgresql-contrib"
            remedy = f"install {package} on the server, or unset DATABASE_URL to use the embedded one"
            checks.append(fail(f"{NAME} {name}", f"the server has no extension {name}", remedy))
    return checks


async def _schema(dsn: str) -> list[Check]:
    try:
        names = await migrate.pending(dsn)
    except migrate.HistoryEdited as error:
        return [fail(f"{NAME} schema", str(error), "see the message")]
    if names:
        says = f"{len(names)} migrations are pending: {', '.join(names)}"
        return [warn(f"{NAME} schema", says, "run: tocsin migrate (`tocsin run` does it too)")]
    return [ok(f"{NAME} schema", "up to date")]


async def redis(settings: Settings) -> list[Check]:
    """Check that the shared cache answers; it is optional, so its absence is no failure."""
    url = settings.redis_url.get_secret_value()
    if not url:
        return [
            off("redis", "not configured: limits and cached evidence are per process", "set REDIS_URL for replicas")
        ]
    cache = await connect(url)
    try:
        await cache.set("doctor", b"1", 5.0)
        answered = await cache.get("doctor") == b"1" and not cache.degraded
    finally:
        await cache.aclose()
    if answered:
        return [ok("redis", "answers")]
    says = "does not answer; Tocsin runs without it, with limits and cached evidence per process"
    return [warn("redis", says, "check REDIS_URL and that the server takes connections from here")]
