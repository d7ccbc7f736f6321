"""Questions to the archive answered on several machines: Spark runs the house's own code over shared storage, and a work folder keeps what is done."""
