"""Readers, one per data set or file format: what is on disk becomes `pipeline.sequence.PoseSequences`."""
