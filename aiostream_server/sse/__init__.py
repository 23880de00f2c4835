"""Server-sent events: frames as bytes, a heartbeat, and the writer that owns one streamed response."""
