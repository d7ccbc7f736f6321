"""Engines that are asked the questions of the archive, each a program of its own: `INTERPRETER -m bench.peers.archive.NAME_run JOB RESULT`."""
