"""A recurrence step by step: a GRU on a live signal, with the results that the whole signal at once would have."""

import time

import torch

import seqloom

torch.manual_seed(0)
layer = seqloom.Recurrent("gru", input_size=4, hidden_size=64, layers=2).eval()
signal = torch.randn(1, 1000, 4)  # (batch, time, features)
with torch.no_grad():
    whole, _ = layer(signal)

stream = layer.stream()
started = time.perf_counter()
outputs = [stream.step(signal[:, t]) for t in range(500)]  # a step at a time
seconds = time.perf_counter() - started
state = stream.state  # a value: keep it, and go on from it later, here in another stream
outputs += list(layer.stream(state=state).push(signal[:, 500:]).unbind(1))  # the rest as one chunk

difference = (torch.stack(outputs, 1) - whole).abs().max().item()
print(f"{1e6 * seconds / 500:.1f} microseconds a step; largest difference from the whole signal {difference:.1e}")
