"""The real Open WebUI in a real browser against the real server: `scripts/e2e-openwebui`, no part of `scripts/test`."""
