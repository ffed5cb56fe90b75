"""A new stream to Triton, given out only once the model has answered on it."""

import asyncio

import structlog

from orchestrator.config import Settings
from orchestrator.errors import StreamBrokenError
from orchestrator.jobs import Item
from orchestrator.jobs.provenance import Provenance
from orchestrator.triton.codec import Failure
from orchestrator.triton.connection import Encoder, Stream

PROBE = Item(
    0, "probe", "3r ESO", "Escriu una frase sobre la pluja.", "La pluja mulla els carrers del poble."
)

log = structlog.get_logger()


async def open_stream(
    settings: Settings, encoder: Encoder, request_id: str, known: dict[str, Provenance]
) -> Stream:
    """A stream that works and knows what its marks are made with. Raises StreamBrokenError.

    `known` gets each provenance that is learned on it, by its id.
    """
    stream = Stream(settings.triton_grpc_url, known)
    try:
        async with asyncio.timeout(settings.probe_timeout_s):
            await stream.send(encoder.encode(request_id, PROBE, 1))
            _, outcome = await stream.receive()
            if not isinstance(outcome, Failure):
                await stream.watch_provenance()
    except TimeoutError:
        await stream.close(0)
        raise StreamBrokenError("the model did not answer a probe in time") from None
    except BaseException:
        await stream.close(0)
        raise
    if isinstance(outcome, Failure):
        await stream.close()
        raise StreamBrokenError(f"the model failed on a probe: {outcome.message[:200]}")
    if stream.provenance is None:
        log.warning("provenance_unknown", reason="Triton's model preprocess does not tell it")
    return stream
