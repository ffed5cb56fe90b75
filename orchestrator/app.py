"""The wiring: every resource opens and closes in one place, in order, and shutdown mirrors start-up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from aiohttp import web

from orchestrator.api.bodies import Bodies
from orchestrator.api.keys import SERVICE
from orchestrator.api.parser import Parser
from orchestrator.api.routes import add_api
from orchestrator.api.service import Service
from orchestrator.broker import Feed
from orchestrator.config import Settings
from orchestrator.jobs.rate import Estimate
from orchestrator.observability.lag import watch_lag
from orchestrator.observability.metrics import Metrics
from orchestrator.store import Change, open_store
from orchestrator.store.sweeper import sweep
from orchestrator.tasks import running
from orchestrator.triton.gpu import GpuWatch
from orchestrator.triton.pool import Link
from orchestrator.worker.claims import Intake
from orchestrator.worker.committer import Writer
from orchestrator.worker.worker import Dispatcher


def make_app(settings: Settings, stop: asyncio.Event | None = None) -> web.Application:
    """The application. `stop` is set if it can't go on, which only a bug brings about."""
    app = web.Application()
    add_api(app, settings)
    stop = stop or asyncio.Event()

    async def service_ctx(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(
                open_store(settings.database_url, settings.database_timeout_s)
            )
            metrics = Metrics()
            estimate = Estimate(settings.expected_items_per_second)
            feed = Feed(store)
            link = Link(settings, metrics)
            dispatcher = Dispatcher(settings, link, metrics, estimate)

            def on_commit(change: Change) -> None:
                feed.publish(change.job, change.events, writer.committed_at)
                dispatcher.on_commit(change)

            writer = Writer(store, metrics, on_commit)
            intake = Intake(
                settings=settings,
                store=store,
                writer=writer,
                feed=feed,
                dispatcher=dispatcher,
                link=link,
                metrics=metrics,
                estimate=estimate,
            )
            gpu = GpuWatch(settings.triton_metrics_url)
            link.listener = dispatcher.flights
            dispatcher.writer = writer
            dispatcher.on_ended = intake.on_ended
            await intake.resume()
            for work, name in (
                (writer.run(), "writer"),
                (dispatcher.run(), "dispatcher"),
                (intake.run(), "intake"),
                (link.run(), "link"),
                (gpu.run(), "gpu"),
                (sweep(settings, store), "sweeper"),
                (watch_lag(metrics.loop_lag_seconds), "lag"),
            ):
                await stack.enter_async_context(running(work, name, stop.set))
            parser = Parser(settings)
            stack.push_async_callback(parser.close)
            app[SERVICE] = Service(
                settings,
                store,
                writer,
                feed,
                dispatcher,
                intake,
                link,
                gpu,
                metrics,
                Bodies(settings),
                parser,
                asyncio.Semaphore(settings.max_concurrent_exports),
                asyncio.Semaphore(settings.max_open_tables),
            )
            yield

    async def drain(app: web.Application) -> None:
        await app[SERVICE].drain()

    app.cleanup_ctx.append(service_ctx)
    app.on_shutdown.append(drain)
    return app
