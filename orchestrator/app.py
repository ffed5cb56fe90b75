"""The wiring: every resource opens and closes in one place, in order, and shutdown mirrors start-up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from aiohttp import web

from orchestrator.api.admission import Admission
from orchestrator.api.backlog import RecentBacklog
from orchestrator.api.bodies import Bodies
from orchestrator.api.keys import SERVICE
from orchestrator.api.parser import Parser
from orchestrator.api.routes import add_api
from orchestrator.api.service import Service
from orchestrator.broker import Broker
from orchestrator.config import Settings
from orchestrator.drain import Drain
from orchestrator.inbox import Inbox
from orchestrator.observability.ends import JobEnds
from orchestrator.observability.lag import watch_lag
from orchestrator.observability.metrics import Metrics
from orchestrator.store import open_store
from orchestrator.store.sweeper import sweep
from orchestrator.tasks import running
from orchestrator.triton.gpu import GpuWatch
from orchestrator.triton.pool import Pool
from orchestrator.worker.active import ActiveJobs
from orchestrator.worker.changes import Changes
from orchestrator.worker.claiming import Claiming
from orchestrator.worker.committer import Committer, Sink
from orchestrator.worker.events import Event
from orchestrator.worker.worker import Worker


def make_app(settings: Settings, stop: asyncio.Event | None = None) -> web.Application:
    """The application. `stop` is set if it can't go on, which only a bug brings about."""
    app = web.Application()
    add_api(app, settings)
    stop = stop or asyncio.Event()

    async def service_ctx(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            metrics = Metrics(settings.triton_grpc_urls if settings.is_worker else ())
            ends = JobEnds(metrics)
            store = await stack.enter_async_context(open_store(settings, ends.ended))
            broker = Broker(store, settings.poll_s)
            backlog = RecentBacklog(store.reading, settings.expected_items_per_second)
            gpu = GpuWatch(settings.triton_metrics_urls)
            changes = Changes()
            sinks: list[Sink] = [broker.committed, backlog.committed, ends.committed]
            work = [
                (broker.run(), "broker"),
                (store.hints.run(), "hints"),
                (gpu.run(), "gpu"),
                (sweep(settings, store), "sweeper"),
                (watch_lag(metrics.loop_lag_seconds), "lag"),
            ]
            pool: Pool | None = None
            worker: Worker | None = None
            claiming: Claiming | None = None
            if settings.is_worker:
                inbox: Inbox[Event] = Inbox()
                jobs = ActiveJobs()
                pool = Pool(settings, metrics, inbox)
                worker = Worker(
                    settings=settings,
                    store=store,
                    pool=pool,
                    inbox=inbox,
                    jobs=jobs,
                    changes=changes,
                    metrics=metrics,
                )
                claiming = Claiming(
                    settings=settings,
                    store=store,
                    pool=pool,
                    worker=worker,
                    jobs=jobs,
                    inbox=inbox,
                    changes=changes,
                )
                sinks += [claiming.committed, inbox.put]
                work += [(pool.run(), "pool"), (worker.run(), "worker"), (claiming.run(), "claiming")]
            committer = Committer(store, changes, metrics, sinks)
            work.append((committer.run(), "committer"))
            for coroutine, name in reversed(work):
                await stack.enter_async_context(running(coroutine, name, stop.set))
            bodies = Bodies(settings)
            drain = Drain(
                settings=settings,
                bodies=bodies,
                broker=broker,
                changes=changes,
                worker=worker,
                claiming=claiming,
            )
            admission = Admission(
                settings=settings,
                store=store,
                backlog=backlog,
                broker=broker,
                committer=committer,
                pool=pool,
                drain=drain,
                metrics=metrics,
            )
            parser = Parser(settings)
            stack.push_async_callback(parser.close)
            app[SERVICE] = Service(
                settings=settings,
                store=store,
                backlog=backlog,
                broker=broker,
                committer=committer,
                admission=admission,
                pool=pool,
                gpu=gpu,
                metrics=metrics,
                bodies=bodies,
                parser=parser,
                drain=drain,
                exports=asyncio.Semaphore(settings.max_concurrent_exports),
                tables=asyncio.Semaphore(settings.max_open_tables),
            )
            yield

    async def drain(app: web.Application) -> None:
        await app[SERVICE].drain.run()

    app.cleanup_ctx.append(service_ctx)
    app.on_shutdown.append(drain)
    return app
