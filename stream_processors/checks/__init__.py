"""The parts of `verify`: what is read from outside, and what must hold of it. See `stream_processors.verify`."""
