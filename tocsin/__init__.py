"""Tocsin: an open, self-hosted domain-awareness platform for emergency operations.

The house in the order the data flows through it:

    feeds/       1 receive, 2 decode    bytes from outside become events
    journal/     3 order                events become durable and get their one order
    rules/                              YAML rules become a checked plan
    correlate/   4 match                the plan runs over the journal; matches become alerts
    alerts/      5 live                 alerts live, are acknowledged and resolved
    archive/     7 keep                 the journal becomes Parquet files with a catalogue
    query/       8 ask                  search, series, SQL, back-tests over the archive
    spark/                              back-tests and sums on several machines
    geo/                                layers, place names, tiles
    api/                                views and the live stream; console/ draws them
    config/                             a city directory in, checked objects out
    accountability/                     one access function in every doorway
    model/ kernel/                      the nouns; clock, faults, metrics: what every room may use
    app.py cli.py                       the only wiring; the commands
"""

__version__ = "0.1.0"

#: Stages in flow order. A stage imports only `model/` and `kernel/`; only `app.py` knows them all.
STAGES = ("feeds", "journal", "correlate", "alerts", "archive", "query", "api")
