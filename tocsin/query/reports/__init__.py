"""Reports over the archive: each is a table with the queries that made it and what it does not say."""
