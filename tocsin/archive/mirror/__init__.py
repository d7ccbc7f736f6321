"""A second place of the archive: a bucket of S3-compatible storage that holds the same files, and reading it on machines that have nothing else."""
