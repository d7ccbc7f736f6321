"""8 ask: search, series, SQL, back-tests and reports over what the archive holds; never opens a file it need not."""
