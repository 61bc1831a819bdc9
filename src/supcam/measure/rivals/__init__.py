"""What came before: other ways to read type and number, on the same crops, for comparison."""
