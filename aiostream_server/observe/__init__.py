"""The observer protocol: what the rooms above tell about requests, runs and model calls.

`service` implements it with metrics and traces, so those rooms measure without an import upwards.
"""
