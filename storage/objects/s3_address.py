"""Where a bucket is and who may enter it, read and checked before anything is sent; no secret ever stands in an address."""

import ipaddress
import re
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

from storage.errors import StoreDeniedError

SCHEMES = {"s3+https": True, "s3+http": False}
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
USUAL_REGION = "us-east-1"
FORM = "s3+https://host[:port]/bucket[/prefix][?region=…][&ca=/absolute/path.pem]"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """One bucket, or what is under one prefix of it.

    Attributes
    ----------
    endpoint
        ``host[:port]``.
    prefix
        Empty, or ends with a slash.
    authority
        A PEM file of the certificates to trust for this server instead of the system's.
    """

    endpoint: str
    bucket: str
    prefix: str = ""
    region: str = USUAL_REGION
    secure: bool = True
    authority: Path | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read ``s3+https://host[:port]/bucket[/prefix]?region=…&ca=…``; ``s3+http`` for this computer alone.

        Raises
        ------
        StoreDeniedError
            It is no such address. The address is not quoted, for a secret may stand in it.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            asked = parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError:
            raise StoreDeniedError(f"an address of objects has the form {FORM}") from None
        if "@" in parts.netloc:
            raise StoreDeniedError("the access key and its secret never stand in the address")
        bucket, _, prefix = parts.path.strip("/").partition("/")
        if parts.scheme not in SCHEMES or not host or not bucket or parts.fragment:
            raise StoreDeniedError(f"an address of objects has the form {FORM}")
        if unknown := sorted(set(asked) - {"region", "ca"}):
            raise StoreDeniedError(f"an address of objects has no {', '.join(unknown)}; its form is {FORM}")
        if not BUCKET.fullmatch(bucket):
            raise StoreDeniedError("a bucket's name has 3 to 63 small letters, digits, dots and hyphens")
        secure = SCHEMES[parts.scheme]
        if not secure and not is_this_computer(host):
            raise StoreDeniedError(f"s3+http is for this computer alone, and {host} is not; write s3+https")
        name = f"[{host}]" if ":" in host else host
        return cls(
            endpoint=f"{name}:{port}" if port else name,
            bucket=bucket,
            prefix=f"{prefix}/" if prefix else "",
            region=asked.get("region", [USUAL_REGION])[0],
            secure=secure,
            authority=Path(asked["ca"][0]) if "ca" in asked else None,
        )

    def tls(self) -> ssl.SSLContext:
        """Return TLS that verifies: chain and host name, by the system's authorities or by the one that is named."""
        try:
            return ssl.create_default_context(cafile=str(self.authority) if self.authority else None)
        except OSError as error:
            raise StoreDeniedError(
                f"{self.authority} cannot be used: {error.strerror or 'no PEM'}"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Credentials:
    """An access key; its secret is never shown."""

    access_key: str
    secret_key: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.access_key or not self.secret_key:
            raise StoreDeniedError("an access key or its secret is missing")


def read_credential(path: Path) -> str:
    """Read one line from a file that nobody else may read.

    Raises
    ------
    StoreDeniedError
        It is not there, empty, or open to others.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            text = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreDeniedError(f"{path} cannot be read") from error
    if mode & 0o077:
        raise StoreDeniedError(f"others may read {path}; chmod 600 it")
    if not text:
        raise StoreDeniedError(f"{path} is empty")
    return text


def is_this_computer(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
