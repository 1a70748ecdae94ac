"""What training costs, each figure by the command that prints it."""
