import pytest
from bench.shot import Shot, from_json

from bench import wrk

OUTPUT = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   389.12us  181.11us   5.23ms   97.44%
    Req/Sec    83.01k     2.45k   86.12k    75.00%
  Latency Distribution
     50%  371.00us
     75%  399.00us
     90%  433.00us
     99%    1.07ms
  165432 requests in 2.00s, 24.01MB read
Requests/sec:  82655.13
Transfer/sec:     12.00MB
"""
TROUBLE = "  Socket errors: connect 1, read 2, write 0, timeout 4\n  Non-2xx or 3xx responses: 10\n"


def test_parse_reads_rate_and_p99():
    """The two figures of the table come out, the p99 in milliseconds."""
    assert wrk.parse(OUTPUT) == Shot(rate=82655.13, p99_ms=1.07)


def test_parse_counts_every_kind_of_error():
    """Broken connections and bad answers are counted together."""
    assert wrk.parse(OUTPUT.replace("Requests/sec", TROUBLE + "Requests/sec")).errors == 17


def test_a_refusal_is_no_part_of_the_rate():
    """A server that refuses half of the requests has half of the rate."""
    half = OUTPUT + "  Non-2xx or 3xx responses: 82716\n"
    assert wrk.parse(half).rate == pytest.approx(82655.13 / 2)
    every = OUTPUT + "  Non-2xx or 3xx responses: 165432\n"
    assert wrk.parse(every).rate == 0


def test_parse_refuses_output_without_figures():
    """An unreachable server is an error with what wrk said, not a rate of 0."""
    with pytest.raises(ValueError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused")


def test_a_shot_survives_the_pipe():
    """What the own generator prints is what the driver reads."""
    shot = Shot(rate=1.5, p99_ms=0.25, errors=3, busy=0.5)
    assert from_json(shot.to_json()) == shot
