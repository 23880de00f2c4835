"""Tables that describe the process: `[server]`, `[auth]`, `[limits]`, `[files]`, `[metrics]`, `[tracing]`."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Strict,
    ValidationInfo,
    field_validator,
)

from aiostream_server.config.choices import ReasoningField
from aiostream_server.config.pointers import FilePath
from aiostream_server.config.table import ConfigTable, HttpUrl, Origin

_LAST_PORT: Final = 65535


class ServerConfig(ConfigTable):
    """`[server]`: the socket, TLS, timeouts and logs."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=_LAST_PORT, description="0 picks a free port")
    workers: int = Field(default=1, ge=1, le=256, description="processes; they share runs if [runs] store does")
    public_url: HttpUrl | None = None
    max_body_bytes: PositiveInt = 32 * 1024**2
    body_timeout_s: PositiveFloat = 15.0
    heartbeat_s: PositiveFloat = 10.0
    whole_heartbeat_s: PositiveFloat = 100.0
    failure_memory_s: NonNegativeFloat = 10.0
    write_timeout_s: PositiveFloat = 10.0
    lame_duck_s: NonNegativeFloat = 0.0
    drain_s: NonNegativeFloat = 25.0
    tls_certificate: FilePath | None = None
    tls_key: FilePath | None = Field(default=None, validate_default=True)
    loop: Literal["uvloop", "asyncio"] = "uvloop"
    cors_origins: Annotated[tuple[Origin, ...], Strict(False)] = ()
    reasoning_fields: Annotated[tuple[ReasoningField, ...], Strict(False), Field(min_length=1)] = ("reasoning_content",)
    log_format: Literal["auto", "json", "text"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    watch: bool = Field(default=False, description="reload when a file has changed")

    @field_validator("tls_key")
    @classmethod
    def _key_of_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if "tls_certificate" in info.data and (info.data["tls_certificate"] is None) != (key is None):
            raise ValueError("tls_certificate and tls_key need each other")
        return key


class AuthConfig(ConfigTable):
    """`[auth]`. Without any key, only a loopback address may be bound."""

    keys_file: FilePath | None = None


class LimitsConfig(ConfigTable):
    """`[limits]`. 0 means no limit."""

    max_runs: PositiveInt = 200
    max_runs_per_key: NonNegativeInt = 0
    max_runs_per_user: NonNegativeInt = 0
    queue_size: NonNegativeInt = 0
    queue_timeout_s: PositiveFloat = 10.0
    run_timeout_s: PositiveFloat = 600.0
    idle_timeout_s: PositiveFloat = 120.0
    max_tokens_per_run: NonNegativeInt = 0
    max_turns_per_run: NonNegativeInt = 0
    max_image_pixels: NonNegativeInt = Field(default=100_000_000, description="of all images of a request together")
    max_image_bytes: NonNegativeInt = Field(default=24 * 1024**2, description="the same, before base64")
    max_tool_calls_per_run: NonNegativeInt = 200
    retention_s: NonNegativeFloat = 900.0
    retained_bytes: NonNegativeInt = 64 * 1024**2
    max_log_bytes: PositiveInt = 16 * 1024**2


class FilesConfig(ConfigTable):
    """`[files]`: how long, and how much of, the files that answers link to are kept. `folder` is one that several
    machines share; else they are in the state directory."""

    folder: FilePath | None = None
    expiry_s: PositiveFloat = 30 * 24 * 3600.0
    max_bytes: PositiveInt = 512 * 1024**2
    max_file_bytes: PositiveInt = 8 * 1024**2


class PageConfig(ConfigTable):
    """`[page]`: the page at `/` that shows the teams at work."""

    enabled: bool = True


class MetricsConfig(ConfigTable):
    """`[metrics]`: what Prometheus reads at `/metrics`."""

    enabled: bool = True
    loopback_port: NonNegativeInt = Field(default=0, le=_LAST_PORT, description="of a listener of its own; 0 is none")

    def port_problem(self, server_port: int) -> str | None:
        """It must not be the server's."""
        if self.loopback_port and self.loopback_port == server_port:
            return f"loopback_port: the server itself listens on {server_port}"
        return None


class TracingConfig(ConfigTable):
    """`[tracing]`: OpenTelemetry spans, sent by OTLP over HTTP; needs the extra `tracing`."""

    enabled: bool = False
    endpoint: HttpUrl | None = Field(default=None, description="of a collector; else OpenTelemetry's own variables")
    service_name: str = "aiostream-server"
    sample_ratio: float = Field(default=1.0, ge=0, le=1, description="of the traces that begin here")
    content: bool = Field(default=False, description="whether questions, answers and arguments stand in spans")
