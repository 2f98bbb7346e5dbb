"""2D pose estimators: video frames -> joints, one file each."""
