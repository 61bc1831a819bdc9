"""Files to samples, and samples to composed samples with their proper labels."""
