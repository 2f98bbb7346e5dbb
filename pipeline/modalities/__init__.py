"""What networks see of a sequence: one file for each modality."""
