"""The parts of make_demo.py, which makes the demo recording in tests/recordings."""
