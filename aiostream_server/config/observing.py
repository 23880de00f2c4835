"""How the server is watched: `[metrics]` and `[tracing]`."""

from pydantic import Field, NonNegativeInt

from aiostream_server.config.table import HttpUrl, Table


class MetricsConfig(Table):
    """`[metrics]`: what Prometheus reads at `/metrics`."""

    enabled: bool = True
    loopback_port: NonNegativeInt = Field(default=0, le=65535, description="of a listener of its own; 0 is none")


class TracingConfig(Table):
    """`[tracing]`: OpenTelemetry spans, sent by OTLP over HTTP; needs the extra `tracing`."""

    enabled: bool = False
    endpoint: HttpUrl | None = Field(default=None, description="of a collector; else OpenTelemetry's own variables")
    service_name: str = "aiostream-server"
    sample_ratio: float = Field(default=1.0, ge=0, le=1, description="of the traces that begin here")
    content: bool = Field(default=False, description="whether questions, answers and arguments stand in spans")
