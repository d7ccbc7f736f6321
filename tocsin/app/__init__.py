"""The only wiring: starts the processes and hands each stage what it needs. Every other package knows only `model/` and `kernel/`."""
