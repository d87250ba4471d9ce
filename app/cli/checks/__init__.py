"""What is wrong with this installation? One module for each thing that is looked at."""
