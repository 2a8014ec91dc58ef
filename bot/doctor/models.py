"""The language model and the embeddings, as the doctor sees them."""

from agents.embed import embedder
from agents.ping import ping
from bot import toolbox
from bot.doctor.check import Check, fail, off, ok, warn
from bot.settings import Settings


async def model(settings: Settings) -> list[Check]:
    """Check with one small question that the model answers and calls tools."""
    wanted = toolbox.model_of(settings)
    if wanted is None:
        return [off("model", "not configured: diagnoses are made by rules", "set OPENAI_API_KEY or OPENAI_BASE_URL")]
    where = f"{wanted.name} at {wanted.base_url}"
    said = await ping(wanted)
    if not said.answered:
        remedy = "check OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL; until then diagnoses are made by rules"
        return [fail("model", f"{where}: {said.problem}", remedy)]
    if not said.called:
        remedy = "choose a model that calls tools (OPENAI_MODEL); this one's diagnoses will fall back to rules"
        return [warn("model", f"{where} answers and did not call the tool it was asked to call", remedy)]
    return [ok("model", f"{where} answers and calls tools, {said.seconds:.1f} s")]


async def embeddings(settings: Settings) -> list[Check]:
    """Check that a text becomes a vector."""
    if not settings.embeddings_configured:
        says = "not configured: search is full text only"
        return [off("embeddings", says, "set OPENAI_EMBEDDING_MODEL to add vectors")]
    where = f"{settings.embedding_model} at {settings.embedding_base_url}"
    embed = embedder(settings.embedding_base_url, settings.embedding_api_key, settings.embedding_model)
    try:
        (vector,) = await embed(["the pod was killed for using too much memory"])
    except ConnectionError as error:
        remedy = "check OPENAI_EMBEDDING_MODEL, OPENAI_EMBEDDING_BASE_URL and its key; search is full text until then"
        return [fail("embeddings", str(error), remedy)]
    return [ok("embeddings", f"{where}: {len(vector)} dimensions")]
