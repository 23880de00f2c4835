"""How the server is watched: `[metrics]` and `[tracing]`."""

from typing import Final

from pydantic import Field, NonNegativeInt

from aiostream_server.config.table import HttpUrl, Table

_LAST_PORT: Final = 65535


class MetricsConfig(Table):
    """`[metrics]`: what Prometheus reads at `/metrics`."""

    enabled: bool = True
    loopback_port: NonNegativeInt = Field(default=0, le=_LAST_PORT, description="of a listener of its own; 0 is none")

    def port_problem(self, server_port: int, workers: int) -> str | None:
        """Each worker listens at the next one."""
        last = self.loopback_port + workers - 1
        if self.loopback_port and last > _LAST_PORT:
            return f"loopback_port: {workers} workers need the ports up to {last}, and {_LAST_PORT} is the last"
        if self.loopback_port and self.loopback_port <= server_port <= last:
            return f"loopback_port: the server itself listens on {server_port}"
        return None


class TracingConfig(Table):
    """`[tracing]`: OpenTelemetry spans, sent by OTLP over HTTP; needs the extra `tracing`."""

    enabled: bool = False
    endpoint: HttpUrl | None = Field(default=None, description="of a collector; else OpenTelemetry's own variables")
    service_name: str = "aiostream-server"
    sample_ratio: float = Field(default=1.0, ge=0, le=1, description="of the traces that begin here")
    content: bool = Field(default=False, description="whether questions, answers and arguments stand in spans")
