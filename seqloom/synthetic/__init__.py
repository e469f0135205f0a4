"""Generated tasks that show what a recurrence can remember or compute, and comparisons of cells on them."""
