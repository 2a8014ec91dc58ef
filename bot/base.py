"""What every command that works on the record is handed; made by bot/compose.py."""

from dataclasses import dataclass

from bot.settings import Settings
from tools.cache import Cache
from tools.sources import Sources
from tools.store.db import Database
from tools.store.knowledge import KnowledgeStore


@dataclass(frozen=True)
class Base:
    """What every command that works on the record needs."""

    settings: Settings
    db: Database
    cache: Cache
    knowledge: KnowledgeStore
    sources: Sources
