"""Runs that several processes and machines share, in Redis: `[runs] store = "redis"`.

backend     opens all of it, as a `RunBackend`
owned_runs  the runs of this process
writer      writes them behind their logs
takeover    ends the runs of a process that has failed
directory   finds runs, here and elsewhere
admission   counts the slots of all processes; slot_calls is its part that talks to Redis
turns       the live runs of each conversation
starts      idempotency keys
remote_run  a run that another process drives

The process that drives a run keeps its log in memory, and is the truth about it; Redis follows. So viewers here wait
for nothing, and what Redis loses is written again.
"""
