"""The units of `systemd/` under a real systemd. `scripts/test-systemd` boots one and runs these tests in its network;
without it they are skipped."""
