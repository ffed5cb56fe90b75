"""A real browser for tests: opens an address, and gives back what the page's script has written.

`page(script)` is a page whose script tries things; `async with serve({path: page})` serves such pages on an
origin of their own; `await see(url)` opens one in headless Chromium and returns what each try gave. `dump`
gives any page's document, `run` the console, too. Tests are marked `@needs_browser`: skipped without.
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

TIMEOUT_S = 90.0
# Time of the page's own clock, which stands still while something is being fetched.
PAGE_TIME_MS = 10_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium: apt-get install --no-install-recommends chromium"
)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--virtual-time-budget={PAGE_TIME_MS}",
)
RESULT = re.compile(r'<pre id="result">(.*?)</pre>', re.DOTALL)
SCRIPT = """<!DOCTYPE html><meta charset="utf-8"><body><script>
function report(value) {{
  const shown = document.createElement("pre");
  shown.id = "result";
  shown.textContent = JSON.stringify(value);
  document.body.append(shown);
}}
(async () => {{
  const seen = {{}};
  const attempt = async (name, action) => {{
    try {{ seen[name] = await action(); }} catch (error) {{ seen[name] = `error: ${{error.name}}`; }}
  }};
  {script}
  report(seen);
}})();
</script></body>"""


def page(script: str) -> str:
    """A page for `see`, whose script calls `await attempt(name, async () => value)`."""
    return SCRIPT.format(script=script)


async def see(url: str, *options: str) -> Any:
    """The value of each attempt by its name, or "error: ..."; ``options`` are further ones of Chromium's."""
    document = await dump(url, *options)
    found = RESULT.search(document)
    assert found is not None, f"the page reported nothing: {document[:500]}"
    return json.loads(html.unescape(found[1]))


async def dump(url: str, *options: str) -> str:
    """The page's document after its scripts have run."""
    document, _ = await run(url, *options)
    return document


async def run(url: str, *options: str) -> tuple[str, str]:
    """The page's document, and what the browser said: its console with --enable-logging=stderr."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *OPTIONS,
            f"--user-data-dir={profile}",
            *options,
            "--dump-dom",
            url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out, said = await process.communicate()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return out.decode(), said.decode(errors="replace")


@asynccontextmanager
async def serve(pages: Mapping[str, str]) -> AsyncIterator[str]:
    """Pages by path, on an origin of their own: gives the address without a path."""
    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        text = pages.get(request.path)
        if text is None:
            raise web.HTTPNotFound
        return web.Response(text=text, content_type="text/html")

    app.router.add_get("/{name:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
