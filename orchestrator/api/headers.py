"""What every answer tells a browser: nothing of it is to be sniffed, framed, kept or told to others."""

from aiohttp import hdrs, web

CSP = "Content-Security-Policy"
NOTHING = "default-src 'none'; frame-ancestors 'none'"
# For our pages: nothing from elsewhere, and no script or style that stands in the page itself.
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    CSP: NOTHING,
    hdrs.CACHE_CONTROL: "no-store",
}
NAME = "avalua"  # instead of the library and its version


async def secure(_: web.Request, response: web.StreamResponse) -> None:
    """Adds what the answer does not say otherwise by itself."""
    for name, value in SECURITY.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = NAME
