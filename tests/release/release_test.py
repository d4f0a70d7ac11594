"""The files of a release: what is in them, that an OCI reader finds its way, and that they are the same every time."""

import hashlib
import json
import os
import re
import subprocess
import tarfile
import unittest
from pathlib import Path

import portshim_test
from portshim_test import SOURCE_DIR

FILES = ["SHA256SUMS", "portshim-linux-amd64", "portshim-linux-arm64", "portshim-oci.tar"]
BUILDS = {"amd64": SOURCE_DIR / "build/release/portshim", "arm64": SOURCE_DIR / "build/arm64/portshim"}
MACHINES = {"amd64": 62, "arm64": 183}  # elf.h, e_machine
EPOCH, REVISION = 1_700_000_000, 40 * "a"
OCI = "application/vnd.oci.image."
LABELS = "org.opencontainers.image."


def pack(folder: Path, epoch: int = EPOCH, **binaries: Path) -> Path:
    """What scripts/release makes, from binaries that are there."""
    paths = BUILDS | binaries
    for path in paths.values():
        if not path.exists():
            portshim_test.skip(f"needs {path.relative_to(SOURCE_DIR)}: scripts/release builds it")
    subprocess.run([SOURCE_DIR / "scripts/oci-image", "--epoch", str(epoch), "--revision", REVISION,
                    *(f"--{name}={path}" for name, path in paths.items()), folder], check=True)
    return folder


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = pack(portshim_test.scratch() / "release")
        with tarfile.open(cls.folder / "portshim-oci.tar") as archive:
            cls.members = archive.getmembers()
            cls.files = {member.name: archive.extractfile(member).read() for member in cls.members}

    def blob(self, descriptor: dict) -> bytes:
        """What a descriptor means, checked against its digest and size."""
        algorithm, digest = descriptor["digest"].split(":")
        content = self.files[f"blobs/{algorithm}/{digest}"]
        self.assertEqual(hashlib.sha256(content).hexdigest(), digest)
        self.assertEqual(len(content), descriptor["size"])
        return content

    def index(self) -> dict:
        top = json.loads(self.files["index.json"])
        self.assertEqual(len(top["manifests"]), 1, "readers without a name take the only image")
        self.assertEqual(top["manifests"][0]["mediaType"], OCI + "index.v1+json")
        return json.loads(self.blob(top["manifests"][0]))

    def images(self) -> dict[str, tuple[dict, dict]]:
        """Manifest and config by architecture."""
        found = {}
        for descriptor in self.index()["manifests"]:
            self.assertEqual(descriptor["mediaType"], OCI + "manifest.v1+json")
            self.assertEqual(descriptor["platform"]["os"], "linux")
            manifest = json.loads(self.blob(descriptor))
            self.assertEqual(manifest["mediaType"], descriptor["mediaType"])
            found[descriptor["platform"]["architecture"]] = manifest, json.loads(self.blob(manifest["config"]))
        return found

    def test_the_files_are_the_binaries_the_image_and_their_sums(self):
        self.assertEqual(sorted(os.listdir(self.folder)), FILES)
        for name, build in BUILDS.items():
            binary = self.folder / f"portshim-linux-{name}"
            self.assertEqual(binary.read_bytes(), build.read_bytes())
            self.assertEqual(int.from_bytes(build.read_bytes()[18:20], "little"), MACHINES[name])
            self.assertTrue(os.access(binary, os.X_OK))
        checked = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=self.folder, check=False,
                                 capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stdout.count(": OK")), (0, 3), checked)

    def test_it_is_an_image_layout_whose_every_blob_is_reachable_and_has_its_digest(self):
        self.assertEqual(json.loads(self.files["oci-layout"]), {"imageLayoutVersion": "1.0.0"})
        reachable = {json.loads(self.files["index.json"])["manifests"][0]["digest"]}
        for descriptor in self.index()["manifests"]:
            reachable.add(descriptor["digest"])
        for manifest, _ in self.images().values():
            for descriptor in (manifest["config"], *manifest["layers"]):
                self.blob(descriptor)
                reachable.add(descriptor["digest"])
        self.assertEqual({f"blobs/{digest.replace(':', '/')}" for digest in reachable} | {"oci-layout", "index.json"},
                         set(self.files))

    def test_each_platform_is_one_layer_with_the_binary_alone(self):
        images = self.images()
        self.assertEqual(set(images), set(BUILDS))
        for name, (manifest, config) in images.items():
            with self.subTest(platform=name):
                self.assertEqual((config["architecture"], config["os"]), (name, "linux"))
                [layer] = manifest["layers"]
                self.assertEqual(layer["mediaType"], OCI + "layer.v1.tar")
                self.assertEqual(config["rootfs"], {"type": "layers", "diff_ids": [layer["digest"]]})
                tar = portshim_test.scratch() / f"{name}.tar"
                tar.write_bytes(self.blob(layer))
                with tarfile.open(tar) as archive:
                    [member] = archive.getmembers()
                    self.assertEqual((member.name, member.mode, member.uid, member.gid, member.mtime),
                                     ("portshim", 0o755, 0, 0, EPOCH))
                    self.assertEqual(archive.extractfile(member).read(), BUILDS[name].read_bytes())

    def test_the_image_starts_portshim_and_says_what_it_is(self):
        version = re.search(r"project\(portshim VERSION (\S+)", (SOURCE_DIR / "CMakeLists.txt").read_text())[1]
        for name, (manifest, config) in self.images().items():
            with self.subTest(platform=name):
                self.assertEqual(config["config"]["Entrypoint"], ["/portshim"])
                self.assertRegex(config["config"]["User"], r"^[1-9]\d*:[1-9]\d*$", "runAsNonRoot wants a number")
                labels = config["config"]["Labels"]
                self.assertEqual(manifest["annotations"], labels)
                self.assertEqual(config["created"], labels[LABELS + "created"])
                self.assertEqual({key.removeprefix(LABELS): labels[key] for key in labels if "description" not in key},
                                 {"title": "portshim", "version": version, "revision": REVISION, "licenses": "MIT",
                                  "created": "2023-11-14T22:13:20Z"})

    def test_nothing_in_the_archive_is_of_this_machine_or_moment(self):
        for member in self.members:
            self.assertEqual((member.uid, member.gid, member.uname, member.gname, member.mtime, member.mode),
                             (0, 0, "", "", EPOCH, 0o644), member.name)


class Reproducible(unittest.TestCase):
    """That another build gives the same binaries is what containers/dockerfile_test.py shows."""

    def test_the_same_binaries_give_the_same_bytes_in_another_folder(self):
        first, second = pack(portshim_test.scratch() / "first"), pack(portshim_test.scratch() / "some/other/folder")
        for name in FILES:
            self.assertEqual((first / name).read_bytes(), (second / name).read_bytes(), name)

    def test_negative_control_another_commits_time_gives_another_image(self):
        one, other = pack(portshim_test.scratch() / "one"), pack(portshim_test.scratch() / "other", epoch=EPOCH + 1)
        self.assertNotEqual((one / FILES[3]).read_bytes(), (other / FILES[3]).read_bytes())


if __name__ == "__main__":
    portshim_test.main()
