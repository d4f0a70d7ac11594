"""The app in containers as people run it, with and without portshim."""

import unittest

import containers
import container_images
from containers import ContainerTest, DockerTest, PodmanTest

PERMISSION_DENIED = "System.Net.Sockets.SocketException (13): Permission denied"
URLS = "http://+:80;http://+:8080;https://+:8443"


class Startup(ContainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = container_images.of(cls.engine)

    def test_seed(self):
        c = self.start(self.images.shimmed, user="app", env={"ASPNETCORE_URLS": "http://+:80", "PORTSHIM": "rewrite"}, options=["--publish", "127.0.0.1:8000:8080"])
        environment = self.assert_answers(c, 8080)
        self.assertEqual(environment["userId"], 1654)
        self.assertEqual(environment["processId"], 1)
        print(c.so_far())
        print(c.stop().code)


class StartupOnPodman(Startup, PodmanTest):
    pass


class StartupOnDocker(Startup, DockerTest):
    pass


del Startup

if __name__ == "__main__":
    containers.main()
