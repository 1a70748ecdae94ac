"""What can be learnt: a task takes data and gives a model with the figures that it has earned, one file a task."""
