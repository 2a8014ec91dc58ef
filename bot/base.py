"""What every command that works on the record is handed; made by bot/compose.py."""

from dataclasses import dataclass

from bot.settings import Settings
from tools.cache import Cache
from tools.clusters import Views
from tools.sources import Sources
from tools.store.db import Database
from tools.store.knowledge import KnowledgeStore


@dataclass(frozen=True)
class Base:
    """What every command that works on the record needs; *sources* are those of the default cluster, *views* of each."""

    settings: Settings
    db: Database
    cache: Cache
    knowledge: KnowledgeStore
    sources: Sources
    views: Views
