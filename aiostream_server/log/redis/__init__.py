"""What several processes share of their runs, in Redis (6.2 or newer) or Valkey.

scripts     every script that Redis runs, a `.lua` file each, and the keys
write_order the arguments of the script that writes runs
connection  calls scripts, and knows whether Redis answers
primary     finds the server that takes the writes: one, or that of Sentinels or a cluster
check       whether it can be used: version, kind, rights of its user
failures    what a failed call means
lease       tells Redis that this process lives, from a thread
channels    messages between processes
packing     events as bytes
reserved    the log of a run that this process drives
mirror      the log of a run that another process drives, as its viewers here read it

Imported only where `[runs] store = "redis"`.
"""
