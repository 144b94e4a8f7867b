"""Where a request's microseconds go: ``python -m bench.flame``, or ``make flame``.

`program` serves one path of `bench.counters`, py-spy samples it, `stacks` keeps the samples that
are the server's, `stages` sorts them, `svg` draws them, and `page` writes the figures into the page
of the documentation.
"""
