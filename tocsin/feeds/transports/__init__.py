"""1 receive: how bytes come, one module per transport; none of them looks inside a payload."""
