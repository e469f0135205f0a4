"""Generated tasks, the network that answers them, and cells compared on them."""
