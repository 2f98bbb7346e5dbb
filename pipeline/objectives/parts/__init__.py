"""What several objectives are made of."""
