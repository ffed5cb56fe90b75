"""`python -m orchestrator`: exit status 0 after a clean stop, 1 if it could not go on, 2 for bad settings."""

import asyncio
import gc
import os
import signal
import sys

import structlog
from aiohttp import web

from orchestrator import __version__
from orchestrator.api.connections import listening_site
from orchestrator.api.keys import SERVICE
from orchestrator.app import make_app
from orchestrator.config import Settings, SettingsError, load_settings
from orchestrator.errors import StartError
from orchestrator.observability.log_writer import complain
from orchestrator.observability.logs import configure_logging, where
from orchestrator.observability.loop_errors import LoopErrors

CONNECTIONS_TIMEOUT_S = 1.0

log = structlog.get_logger()


def main() -> int:
    """Runs the service; problems that the operator can solve become one line on stderr."""
    os.umask(0o077)  # what we write holds students' texts
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_queue_lines)
        return asyncio.run(serve(settings))
    except SettingsError as error:
        complain(f"orchestrator: {error}")
        return 2
    except StartError as error:
        complain(f"orchestrator: {error}")
        return 1


async def serve(settings: Settings) -> int:
    """Serves until a signal or a fatal error."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    broken = asyncio.Event()
    loop.set_exception_handler(LoopErrors())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    app = make_app(settings, broken)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CONNECTIONS_TIMEOUT_S)
    await runner.setup()
    # What is loaded by now stays until the end: the collector need not walk it again, which takes it 50 ms.
    gc.collect()
    gc.freeze()
    try:
        site = listening_site(runner, settings)
        try:
            await site.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise StartError(
                f"HOST={settings.host}, PORT={settings.port} can't be used ({reason}): "
                "set PORT to a free one, and HOST to an address of this machine"
            ) from None
        port = runner.addresses[0][1]
        log.info(
            "started",
            version=__version__,
            host=settings.host,
            port=port,
            notice=settings.model_notice or None,
        )
        waits = [asyncio.create_task(event.wait()) for event in (asked, broken)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        # Still listening: status and results stay readable while what is in flight finishes.
        drained = broken.is_set() or await _drain(asked, app)
    finally:
        await runner.cleanup()
    log.info("stopped")
    return 1 if broken.is_set() or not drained else 0


async def _drain(asked: asyncio.Event, app: web.Application) -> bool:
    """Lets what is in flight finish; a second signal cuts the wait short. False if it went wrong."""
    asked.clear()
    draining = asyncio.create_task(app[SERVICE].drain.run())
    again = asyncio.create_task(asked.wait())
    await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        log.warning("drain_cut_short", reason="a second signal")
    for task in (draining, again):
        task.cancel()
    await asyncio.wait({draining, again})
    app[SERVICE].broker.close()
    error = None if draining.cancelled() else draining.exception()
    if error is not None:
        log.critical("drain_failed", **where(error))
    return error is None


if __name__ == "__main__":
    if sys.argv[1:]:
        complain(
            "orchestrator: it takes no arguments; its settings are environment variables: see .env.example."
        )
        sys.exit(2)
    sys.exit(main())
