"""What a person runs outside the graph: add a data set, look into it, mark its events."""
