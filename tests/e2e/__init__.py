"""The real Open WebUI in a real browser against the real server: `scripts/dev/e2e-openwebui`, not `scripts/test`."""
