"""What an operator does by hand: one module for each group of commands."""
