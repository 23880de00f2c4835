"""Measurements that take minutes, kept out of the ordinary test run."""
