"""One metric per file. Metrics read labelled features (`clips.Clips`), never data sets, models or each other's settings."""
