"""Recurrent networks on the pathological tasks: one model of any cell, trained, scored and compared."""
