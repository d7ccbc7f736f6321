"""SQL of analysts, run by a process of its own that can read the files of one look and nothing else."""
