"""The security headers of every response, errors included (P14); which content a page may load, never what it says."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders

_FEATURES_OFF = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "clipboard-read",
    "display-capture", "encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope", "hid", "idle-detection",
    "local-fonts", "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "screen-wake-lock",
    "serial", "sync-xhr", "usb", "xr-spatial-tracking",
)  # fmt: skip
PERMISSIONS_OFF = ", ".join(f"{feature}=()" for feature in _FEATURES_OFF)

ALWAYS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "X-Permitted-Cross-Domain-Policies": "none",
    "Permissions-Policy": PERMISSIONS_OFF,
}
HSTS = "max-age=63072000; includeSubDomains"


def content_policy(nonce: str) -> str:
    """Return the policy of a page: its own style, pictures and addresses, and only scripts that carry the nonce.

    Strings can never become script (Trusted Types without any policy), so an escaped name that slips is still inert.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "manifest-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "object-src 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


DOWNLOAD_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"


def secure(headers: MutableHeaders, *, nonce: str, https: bool) -> None:
    """Set every security header; a response may only narrow its cache and its content policy beforehand."""
    for name, value in ALWAYS.items():
        headers[name] = value
    headers.setdefault("Content-Security-Policy", content_policy(nonce))
    headers.setdefault("Cache-Control", "no-store")
    if https:
        headers["Strict-Transport-Security"] = HSTS
    if "server" in headers:
        del headers["server"]
