"""What every Triton of ours needs, in NVIDIA's image and on the CPU alike: settings, model repository."""
