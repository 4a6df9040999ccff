"""The search for the best recipe: its space, trials that resume, pruning, an honest verdict on the winner."""
