"""What occlusion costs, measured: seconds, memory and rounding of every way to do it, side by side."""
