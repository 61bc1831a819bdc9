"""What recipes on disk share where a test trains in seconds, as TOML: the network, and a step's schedule."""

NETWORK = """
[network]
backbone = "resnet10t"
channels = [8, 8, 8, 8]
max_count = 5

[crop]
size_px = 32
width_px = 4.0
"""
SCHEDULE = """
epochs = 1
pictures_per_epoch = 32
batch_size = 8
precision = "float32"
device = "cpu"
threads = 1
workers = 0
checkpoint_every_steps = 2
"""
