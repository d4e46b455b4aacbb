"""What came of the predictions."""
