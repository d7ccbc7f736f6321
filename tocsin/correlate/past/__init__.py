"""The engine over a history that is known beforehand (back-tests): the same plan, kernels and alerts as live, fed with columns instead of entries."""
