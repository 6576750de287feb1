"""What crosses a process or file boundary: run spec, events, states, report, worker protocol.

Everything may import this package; it imports nothing of ours, no Django and no torch.
"""
