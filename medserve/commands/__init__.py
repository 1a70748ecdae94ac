"""What the `medserve` command does, one file a command: each has `run(arguments) -> exit status`."""
