"""What is of the terminal alone: tables, completion, and commands whose failures are one line."""
