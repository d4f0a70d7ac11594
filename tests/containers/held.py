"""Not a test: starts a container on each engine, and waits to be ended (cleanup_test.py)."""

import os
import signal
import unittest

import container_images
import containers


class Held(unittest.TestCase):
    def test_hold(self):
        for kind in (containers.Podman, containers.Docker):
            engine = containers.engine(kind)
            held = engine.start(container_images.Images(engine).pause)
            self.assertTrue(held.is_running())
        print(f"held {containers.folder()}", flush=True)
        if "PORTSHIM_TEST_HOLD" in os.environ:
            signal.pause()


if __name__ == "__main__":
    containers.main()
