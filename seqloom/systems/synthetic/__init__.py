"""Recurrent networks on generated tasks: one model of any cell, trained, scored and applied like every system."""
