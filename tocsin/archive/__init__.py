"""7 keep: the journal becomes plain Parquet files that other engines read as they are, with a catalogue that says what is in each.

Rows arrive in the hot tail (`hot.py`), become day files (`filing.py`), then month files (`compact.py`); the catalogue (`catalog.py`) is the only
truth about what is there. Readers take one consistent look (`holdings.py`) under a lease.
"""
