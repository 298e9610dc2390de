"""What was promoted, looked at: trades of strategies, who are twins, what goes together. Numpy alone, no file."""
