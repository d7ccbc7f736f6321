"""7 keep: the journal becomes plain Parquet files that other engines read as they are, with a catalogue that says what is in each."""
