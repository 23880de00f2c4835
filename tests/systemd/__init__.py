"""The units of `systemd/` under a real systemd, booted by `scripts/dev/test-systemd`. `scripts/test` skips these."""
