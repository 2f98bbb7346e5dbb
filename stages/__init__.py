"""What is run: one typer command per DVC stage. No computation here; that is in `pipeline`."""
