"""The one settings object: read from ``CONSILIUM_*`` and from ``consilium.env`` in the home, by ``compose`` and ``cli`` alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.domain.errors import InvalidError
from gateway.domain.policy import Policy
from gateway.domain.room import RoomRules
from gateway.domain.tls_files import TlsFiles

DEFAULT_HOME = Path("~/.consilium")
NO_LISTS = "none"  # CONSILIUM_DICOM_REVOKED: revocation lists are not used, on purpose


class Settings(BaseSettings):
    """Everything an operator may set. The scheme of each URL picks the adapter; empty means the embedded default."""

    model_config = SettingsConfigDict(env_prefix="CONSILIUM_", env_nested_delimiter="__", extra="ignore")

    home: Path = DEFAULT_HOME
    mode: Literal["trial", "production"] = "trial"
    tenant: str = "consilium"
    http: str = "127.0.0.1:8080"
    plain_http_elsewhere: bool = False
    dicom: str = "127.0.0.1:11112"
    plain_dicom_elsewhere: bool = False
    dicom_tls: str = ""
    dicom_tls_profile: Literal["b12", "b13"] = "b12"
    dicom_user_identity: Literal["refuse", "ignore"] = "refuse"
    dicom_certificate: str = ""
    dicom_key: str = ""
    dicom_authorities: str = ""
    dicom_revoked: str = ""
    dicom_host: str = Field(default="", max_length=253)
    contact: str = Field(default="", max_length=200)
    ae_title: str = Field(default="CONSILIUM", min_length=1, max_length=16)
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    records: str = ""
    objects: str = ""
    s3_access_key: SecretStr = SecretStr("")
    s3_access_key_file: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_secret_key_file: str = ""
    keys: str = ""
    keys_passphrase_file: str = ""
    doorbell: str = "local:"
    texter: str = "file:"
    mailer: str = "file:"
    scanner: str = "none:"
    witness: str = "file:"
    quiet_s: float = Field(default=10.0, ge=0.5, le=86_400)
    timezone: str = "Europe/Stockholm"
    language: Literal["sv", "en"] = "sv"
    workers: int = Field(default=2, ge=1, le=64)
    scrub_days: int = Field(default=30, ge=0, le=3650)
    link_days: int = Field(default=30, ge=1, le=365)
    grant_days: int = Field(default=30, ge=1, le=365)
    written_days: int = Field(default=10, ge=1, le=365)
    mdt_days: int = Field(default=15, ge=1, le=365)
    file_limit_bytes: int = Field(default=4 << 30, ge=1)
    link_limit_bytes: int = Field(default=20 << 30, ge=1)
    room_percent: int = Field(default=0, ge=0, le=100)
    room_bytes: int = Field(default=256 << 20, ge=0)
    room_most_bytes: int = Field(default=32 << 30, ge=0)
    ballast: bool = True

    key_epoch_days: int = Field(default=30, ge=0, le=3650)
    backup_days: int = Field(default=30, ge=1, le=3650)
    backup_warn_days: int = Field(default=1, ge=1, le=365)

    @property
    def url(self) -> str:
        """The address that people use: the public one, else the one listened on."""
        return (self.public_url or f"http://{self.http}").rstrip("/")

    @property
    def tls_files(self) -> TlsFiles:
        """Where the DICOM node's certificate and those that it trusts lie."""
        usual = self.home / "tls"
        return TlsFiles(
            certificate=_path(self.dicom_certificate, usual / "node.crt"),
            key=_path(self.dicom_key, usual / "node.key"),
            authorities=_path(self.dicom_authorities, usual / "authorities.pem"),
            revoked=None
            if self.dicom_revoked == NO_LISTS
            else _path(self.dicom_revoked, usual / "revoked.pem"),
            lists_expected=self.dicom_revoked not in ("", NO_LISTS),
            lists_mark=self.home / "revocation-lists.seen",
        )

    def room_rules(self) -> RoomRules:
        """Return how much stays free: a trial on a developer's full disk goes by ``room_bytes`` alone."""
        usual = 90 if self.mode == "production" else 100
        return RoomRules(
            percent=self.room_percent or usual, least_bytes=self.room_bytes, most_bytes=self.room_most_bytes
        )

    def policy(self) -> Policy:
        """Return the settings as the domain's rules."""
        return Policy(
            tenant=self.tenant,
            ae_title=self.ae_title,
            public_url=self.url,
            dicom_at=self.dicom,
            dicom_tls_at=self.dicom_tls,
            dicom_host=self.dicom_host,
            contact=self.contact,
            quiet_s=self.quiet_s,
            link_valid=timedelta(days=self.link_days),
            grant_days=self.grant_days,
            file_limit_bytes=self.file_limit_bytes,
            link_limit_bytes=self.link_limit_bytes,
            epoch_days=self.key_epoch_days,
            backup_days=self.backup_days,
            days={"written": self.written_days, "mdt": self.mdt_days},
        )


def load_settings(home: Path | None = None, **given: str) -> Settings:
    """Read the settings of a home; ``given`` (the command line) beats the environment, which beats ``consilium.env``."""
    try:
        where = home or Settings().home
        where = where.expanduser().absolute()
        named = {name: value for name, value in given.items() if value}
        return Settings(_env_file=where / "consilium.env", home=where, **named)  # type: ignore[call-arg, arg-type]  # pydantic-settings' own argument
    except ValidationError as error:
        first = error.errors()[0]
        name = "CONSILIUM_" + "__".join(str(part) for part in first["loc"]).upper()
        raise InvalidError(
            f"{name}: {first['msg']}", next_step=f"Mend {name} in the environment or in consilium.env."
        ) from error


def _path(given: str, usual: Path) -> Path:
    return Path(given).expanduser().absolute() if given else usual


def host_and_port(text: str, *, what: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; ``[::1]:104`` is taken too."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise InvalidError(
            f"«{text}» is no address for {what}", next_step="Write HOST:PORT, for example 127.0.0.1:8080."
        )
    return host.strip("[]"), int(port)
