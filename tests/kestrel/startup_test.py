"""Real Kestrel behind portshim. Every promise has its negative control: the same start without portshim dies."""

import json
import subprocess

import portshim_test
from kestrel import PERMISSION_DENIED, UNPRIVILEGED_UID, KestrelTest, self_signed_certificate
from portshim_test import ALL_CAPABILITIES, NET_BIND_SERVICE, NetworkNamespace, Stage, as_root, as_uid

LOW_PORTS_DENIED = 1024  # net.ipv4.ip_unprivileged_port_start of Podman, CRI-O, ECS, containerd 1
LOW_PORTS_ALLOWED = 0  # of Docker, containerd 2


class Startup(KestrelTest):
    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace(LOW_PORTS_DENIED)
        self.unprivileged = as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.namespace)

    def assert_moved(self, app, old: int, new: int, certificate=None) -> dict:
        """The app answers on the new port as the same process, nothing listens on the old one, and it was said."""
        environment = self.assert_answers(app, self.namespace, new, certificate)
        self.assertEqual(environment["processId"], app.pid)
        self.assertFalse(self.namespace.connects(old))
        finding = self.assertFinding(app.so_far(), "PS101", "warning")
        self.assertIn(str(new), finding.did)
        return environment

    def test_without_portshim_port_80_kills_the_app_and_no_port_is_named(self):
        result = self.assert_dies_of_permission(stage=self.unprivileged, ASPNETCORE_URLS="http://+:80")
        self.assertNotIn(":80", result.stderr.splitlines()[0])

    def test_off_is_as_without_portshim(self):
        result = self.assert_dies_of_permission(stage=self.unprivileged, shim=True, ASPNETCORE_URLS="http://+:80")
        self.assertNotIn("portshim", result.stderr)

    def test_explain_names_the_cause_and_changes_nothing(self):
        result = self.assert_dies_of_permission(stage=self.unprivileged, shim=True, ASPNETCORE_URLS="http://+:80",
                                                PORTSHIM="explain")
        finding = self.assertFinding(result, "PS101")
        self.assertIn("ASPNETCORE_URLS=http://+:80", finding.what)

    def test_validate_refuses_port_80_and_never_starts_dotnet(self):
        result = self.start_app(stage=self.unprivileged, ASPNETCORE_URLS="http://+:80", PORTSHIM="validate").wait()
        self.assertEqual(result.code, 78, result)
        finding = self.assertFinding(result, "PS101", "error")
        self.assertIn("ASPNETCORE_URLS=http://+:80", finding.what)
        self.assertIn("ip_unprivileged_port_start=1024", finding.why)
        self.assertNotIn("Unhandled exception", result.stderr)
        self.assertEqual(result.stdout, "")

    def test_validate_starts_what_can_bind(self):
        app = self.start_app(stage=self.unprivileged, ASPNETCORE_URLS="http://+:8080", PORTSHIM="validate")
        self.assert_answers(app, self.namespace, 8080)
        self.assertSilent(app.so_far())

    def test_rewrite_moves_urls_from_80_to_8080(self):
        app = self.start_app(stage=self.unprivileged, ASPNETCORE_URLS="http://+:80", PORTSHIM="rewrite")
        environment = self.assert_moved(app, 80, 8080)
        self.assertEqual(environment["variables"]["ASPNETCORE_URLS"], "http://+:8080")
        self.assertEqual(environment["userId"], UNPRIVILEGED_UID)

    def test_rewrite_moves_https_ports_from_443_to_8443(self):
        certificate, key = self_signed_certificate(self.directory)
        variables = {"ASPNETCORE_HTTPS_PORTS": "443", "Kestrel__Certificates__Default__Path": certificate,
                     "Kestrel__Certificates__Default__KeyPath": key}
        self.assert_dies_of_permission(stage=self.unprivileged, **variables)
        app = self.start_app(stage=self.unprivileged, PORTSHIM="rewrite", **variables)
        environment = self.assert_moved(app, 443, 8443, certificate)
        self.assertEqual(environment["variables"]["ASPNETCORE_HTTPS_PORTS"], "8443")

    def test_rewrite_moves_an_argument(self):
        arguments = ("--urls", "http://+:80")
        self.assert_dies_of_permission(*arguments, stage=self.unprivileged)
        app = self.start_app(*arguments, stage=self.unprivileged, PORTSHIM="rewrite")
        environment = self.assert_moved(app, 80, 8080)
        self.assertEqual(environment["arguments"], ["--urls", "http://+:8080"])

    def test_rewrite_moves_a_kestrel_endpoint(self):
        variables = {"Kestrel__Endpoints__Http__Url": "http://+:80"}
        self.assert_dies_of_permission(stage=self.unprivileged, **variables)
        app = self.start_app(stage=self.unprivileged, PORTSHIM="rewrite", **variables)
        environment = self.assert_moved(app, 80, 8080)
        self.assertEqual(environment["variables"]["Kestrel__Endpoints__Http__Url"], "http://+:8080")

    def settings_file(self, name: str, content: dict) -> None:
        """In the content root, which is the working directory."""
        self.write(name, json.dumps(content)).chmod(0o644)

    def test_rewrite_moves_urls_of_appsettings_by_a_variable_that_overrides_them(self):
        self.settings_file("appsettings.json", {"Urls": "http://+:80"})
        variables = {"ASPNETCORE_URLS": "http://+:5000", "ASPNETCORE_HTTP_PORTS": "8080"}
        self.assert_dies_of_permission(stage=self.unprivileged, **variables)
        app = self.start_app(stage=self.unprivileged, PORTSHIM="rewrite", **variables)
        environment = self.assert_moved(app, 80, 8080)
        self.assertEqual(environment["variables"]["URLS"], "http://+:8080")
        self.assertFalse(self.namespace.connects(5000))

    def test_rewrite_moves_an_endpoint_of_the_environments_appsettings(self):
        self.settings_file("appsettings.json", {"Kestrel": {"Endpoints": {"Http": {"Url": "http://+:5000"}}}})
        self.settings_file("appsettings.Staging.json", {"Kestrel": {"Endpoints": {"Http": {"Url": "http://+:80"}}}})
        variables = {"ASPNETCORE_ENVIRONMENT": "Staging"}
        self.assert_dies_of_permission(stage=self.unprivileged, **variables)
        app = self.start_app(stage=self.unprivileged, PORTSHIM="rewrite", **variables)
        environment = self.assert_moved(app, 80, 8080)
        self.assertEqual(environment["variables"]["Kestrel__Endpoints__Http__Url"], "http://+:8080")

    def test_explain_names_the_file_that_beats_the_variable(self):
        self.settings_file("appsettings.json", {"Kestrel": {"Endpoints": {"Http": {"Url": "http://+:80"}}}})
        result = self.assert_dies_of_permission(stage=self.unprivileged, shim=True, ASPNETCORE_URLS="http://+:8080",
                                                PORTSHIM="explain")
        finding = self.assertFinding(result, "PS206")
        self.assertIn("ASPNETCORE_URLS=http://+:8080 has no effect: appsettings.json: Kestrel:Endpoints:Http:Url",
                      finding.what)

    def test_validate_refuses_a_settings_file_that_dotnet_cannot_parse_and_names_the_place(self):
        self.write("appsettings.json", '{\n  "Urls": http://+:80\n}').chmod(0o644)
        dead = self.start_app(stage=self.unprivileged, shim=False).wait()
        self.assertIn("System.Text.Json.JsonReaderException", dead.stderr)
        result = self.start_app(stage=self.unprivileged, PORTSHIM="validate").wait()
        self.assertEqual(result.code, 78, result)
        finding = self.assertFinding(result, "PS301", "error")
        place = finding.why[finding.why.index("LineNumber"):]
        self.assertIn(place, dead.stderr)

    def test_rewrite_moves_the_port_of_a_root_without_the_capability(self):
        root = as_root(bounding=ALL_CAPABILITIES & ~NET_BIND_SERVICE) | Stage(namespace=self.namespace)
        self.assert_dies_of_permission(stage=root, ASPNETCORE_URLS="http://+:80")
        app = self.start_app(stage=root, ASPNETCORE_URLS="http://+:80", PORTSHIM="rewrite")
        environment = self.assert_moved(app, 80, 8080)
        self.assertEqual(environment["userId"], 0)

    def test_rewrite_leaves_port_80_to_a_user_with_the_ambient_capability(self):
        stage = as_uid(UNPRIVILEGED_UID, ambient=NET_BIND_SERVICE) | Stage(namespace=self.namespace)
        app = self.start_app(stage=stage, ASPNETCORE_URLS="http://+:80", PORTSHIM="rewrite")
        environment = self.assert_answers(app, self.namespace, 80)
        self.assertEqual(environment["variables"]["ASPNETCORE_URLS"], "http://+:80")
        self.assertFalse(self.namespace.connects(8080))
        self.assertSilent(app.so_far())

    def test_a_capability_in_the_bounding_set_alone_does_not_help(self):
        stage = as_uid(UNPRIVILEGED_UID, bounding=NET_BIND_SERVICE) | Stage(namespace=self.namespace)
        self.assert_dies_of_permission(stage=stage, ASPNETCORE_URLS="http://+:80")
        app = self.start_app(stage=stage, ASPNETCORE_URLS="http://+:80", PORTSHIM="rewrite")
        self.assert_moved(app, 80, 8080)

    def test_keep_answers_on_both_ports_where_the_host_allows_the_low_one(self):
        namespace = NetworkNamespace(LOW_PORTS_ALLOWED)
        stage = as_uid(UNPRIVILEGED_UID) | Stage(namespace=namespace)
        app = self.start_app(stage=stage, ASPNETCORE_URLS="http://+:80", PORTSHIM="rewrite", PORTSHIM_KEEP="on")
        environment = self.assert_answers(app, namespace, 80)
        self.assertEqual(environment["variables"]["ASPNETCORE_URLS"], "http://+:80;http://+:8080")
        self.assertEqual(self.assert_answers(app, namespace, 8080)["processId"], app.pid)

    def test_keep_moves_where_the_host_denies_the_low_port(self):
        app = self.start_app(stage=self.unprivileged, ASPNETCORE_URLS="http://+:80", PORTSHIM="rewrite",
                             PORTSHIM_KEEP="on")
        self.assert_moved(app, 80, 8080)

    def test_the_floor_is_portable_unless_it_is_the_kernels(self):
        namespace = NetworkNamespace(LOW_PORTS_ALLOWED)
        stage = as_uid(UNPRIVILEGED_UID) | Stage(namespace=namespace)
        for floor, port in (("portable", 8080), ("kernel", 80)):
            with self.subTest(floor=floor):
                app = self.start_app(stage=stage, ASPNETCORE_URLS="http://+:80", PORTSHIM="rewrite",
                                     PORTSHIM_FLOOR=floor)
                self.assert_answers(app, namespace, port)
                app.kill()

    def test_a_message_of_dotnet_still_reaches_stderr(self):
        """So that the test for PERMISSION_DENIED's absence means something: stderr is the app's own."""
        app = self.start_app(stage=self.unprivileged, ASPNETCORE_URLS="http://+:80", PORTSHIM="rewrite")
        self.assert_answers(app, self.namespace, 8080)
        second = self.start_app(stage=self.unprivileged, ASPNETCORE_URLS="http://+:8080", PORTSHIM="off").wait()
        self.assertIn("address already in use", second.stderr)
        self.assertNotIn(PERMISSION_DENIED, app.so_far().stderr)


if __name__ == "__main__":
    portshim_test.main()
