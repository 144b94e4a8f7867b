"""Exact counters of what a request costs: ``python -m bench.counters``, or ``make counters``.

`program` runs a fixed number of requests on each path, in one thread and with the garbage collector
off. `probes` counts its calls and bytecodes; `tools` runs it under callgrind and strace. `budget`
compares the counters with those of the last landing. No counter depends on the load of the machine.
"""
