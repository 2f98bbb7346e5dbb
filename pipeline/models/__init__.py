"""Networks: each file is one part of the alignment network (paper section 3.3)."""
