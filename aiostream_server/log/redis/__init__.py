"""What several processes share of their runs, in Redis (6.2 or newer) or Valkey.

scripts     every script that Redis runs, a `.lua` file each, and the keys
write_order the arguments of the script that writes runs
connection  calls scripts, and knows whether Redis answers
lease       tells Redis that this process lives, from a thread
channels    messages between processes
packing     events as bytes
reserved    the log of a run that this process drives
mirror      the log of a run that another process drives, as its viewers here read it

Imported only where `[runs] store = "redis"`.
"""
