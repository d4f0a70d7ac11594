"""Which setting moves an app from port 80 to 8080, by what binds 80 and by builder: real ASP.NET Core 8 and 10 do what
the matrix says, and portshim, told what the code does, predicts it."""

from __future__ import annotations

import dataclasses
import functools
import json
import unittest

import judge
import portshim_test
from judge import Case, Result

MAJORS = (8, 10)
BUILDERS = ("wab", "slim", "gh", "wh", "empty")
URL = "http://+:8080"

_URLS = {"AU": "ASPNETCORE_URLS", "DU": "DOTNET_URLS", "U": "URLS"}
# By its name, the variables and arguments of each lever. EP is an endpoint of a new name, EPs of one that is in use.
LEVERS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "none": ({}, ()),
    **{name: ({variable: URL}, ()) for name, variable in _URLS.items()},
    "AHP": ({"ASPNETCORE_HTTP_PORTS": "8080"}, ()),
    "HP": ({"HTTP_PORTS": "8080"}, ()),
    "--u": ({}, ("--urls", URL)),
    "EP": ({"Kestrel__Endpoints__New__Url": URL}, ()),
    "EPs": ({"Kestrel__Endpoints__Http__Url": URL}, ()),
    "A+": ({"ASPNETCORE_URLS": URL, "ASPNETCORE_PREFERHOSTINGURLS": "true"}, ()),
    "U+": ({"URLS": URL, "PREFERHOSTINGURLS": "true"}, ()),
    "c+": ({}, ("--urls", URL, "--preferHostingUrls", "true")),
}

# A cell has the levers after which 8080 and nothing else is bound, and "LEVER=PORTS" for some others. EPs is named only
# where EP does not do.
NOTHING = {"wab": "AU DU U AHP HP --u EP A+ U+ c+", "gh": "AU DU U AHP HP --u EP A+ U+ c+", "wh": "AU --u EP A+ c+",
           "empty": "--u c+"}
NOT_READ = None  # 80 is never bound, and the levers are those of NOTHING
NO_SUCH_CALL = False


@dataclasses.dataclass(frozen=True)
class Row:
    """What binds 80, and a cell for each builder; slim is as wab, and so is gh without a cell."""

    wab: str
    wh: str | None | bool
    empty: str | None
    gh: str | None | bool = ""
    code: tuple[tuple, ...] = ()
    argv: tuple[str, ...] = ()
    json: dict | None = None
    predicted: bool = True  # the facts about code can say it

    def cell(self, builder: str) -> str | None | bool:
        if builder == "slim" or builder == "gh" and self.gh == "":
            builder = "wab"
        return getattr(self, builder)

    def case(self, builder: str, lever: str) -> Case:
        variables, arguments = LEVERS[lever]
        old = () if "--urls" in arguments and "--urls" in self.argv else self.argv
        files = {} if self.json is None else {"appsettings.json": json.dumps(self.json)}
        return {"id": f"{self}, {builder}, {lever}", "builder": builder, "code": [list(one) for one in self.code],
                "env": [list(pair) for pair in variables.items()], "argv": [*old, *arguments], "files": files}

    def __str__(self) -> str:
        return json.dumps([*self.code, *self.argv, *([self.json] if self.json else [])])


_UseUrls, _AppUrlsAdd = ("UseUrls", "http://+:80"), ("AppUrlsAdd", "http://+:80")
_Listen = dict(wab="A+ U+ c+ EP=80+8080", wh="A+ c+ EP=80+8080", empty="c+")
_Address = dict(wab="EP", wh="EP A+=8080+80 c+=8080+80", empty="")
_Endpoint = {"Kestrel": {"Endpoints": {"Http": {"Url": "http://+:80"}}}}
_EndpointOfFile = dict(wab="EPs A+ U+ c+ EP=80+8080", wh="EPs A+ c+ EP=80+8080", empty=NOT_READ, json=_Endpoint)
_EndpointAbove = dict(wab="A+ U+ c+ EP=80+8080 EPs=80", wh="A+ c+ EP=80+8080 EPs=80", empty=NOT_READ)

ROWS = (
    Row(NOTHING["wab"], NOT_READ, NOT_READ),
    Row("EP", "EP", "", gh="U --u EP U+ c+", code=(_UseUrls,)),
    Row(**_Address, code=(_AppUrlsAdd,)),
    Row(**_Address, code=(("AppRun", "http://+:80"),)),
    Row(**_Listen, code=(("ListenAnyIP", 80),)),
    Row(**_Listen, code=(("ListenLocalhost", 80),)),
    Row("A+ U+ c+", "A+ c+", "c+", code=(("KestrelConfigureAnyIP", 80),), predicted=False),
    Row("A+=81 U+=81 c+=81 EP=80+8080", "A+=81 c+=81", "c+=81", gh="U+ c+ A+=81",
        code=(("ListenAnyIP", 80), ("UseUrls", "http://+:81"))),
    Row("A+=80 c+=80 EP=80+8080", "A+=8080+81 c+=8080+81", "",
        code=(("ListenAnyIP", 80), ("AppUrlsAdd", "http://+:81"))),
    Row("", "", "", gh="U --u U+ c+", code=(("PreferHostingUrls", True), _UseUrls)),
    Row("EP", NO_SUCH_CALL, "", gh=NO_SUCH_CALL, code=(("ConfigSet", "Urls", "http://+:80"),)),
    Row("EP", NOT_READ, "", code=(("AddInMemory", "Urls", "http://+:80"),), predicted=False),
    Row(**_EndpointAbove, code=(("AddInMemory", "Kestrel:Endpoints:Http:Url", "http://+:80"),), predicted=False),
    Row("U --u EP U+ c+", NOT_READ, NOT_READ, json={"Urls": "http://+:80"}),
    Row(**_EndpointOfFile),
    Row(**_EndpointOfFile, code=(("KestrelConfigure",),)),
    Row("AU DU U HP --u EP A+ U+ c+", NOT_READ, NOT_READ, json={"HTTP_PORTS": "80"}),
    Row("--u EP c+", "--u EP c+", "--u c+", argv=("--urls", "http://+:80")),
    Row(**_EndpointAbove, argv=("--Kestrel:Endpoints:Http:Url=http://+:80",)),
    Row("AU DU U --u EP A+ U+ c+", NOT_READ, "--u c+", argv=("--http_ports=80",)),
    Row("EP", "EP", "", gh="U --u EP U+ c+", code=(("UseConfigurationJson", "hosting.json"),), predicted=False),
)


def ports(result: Result) -> str:
    return "+".join(endpoint.rsplit(":", 1)[1] for endpoint in result.bound)


@functools.cache
def everything() -> list[tuple[Row, str, str, Case, dict[int, Result]]]:
    """Every start: row, builder, lever, the case, and what happened on each version."""
    made = [(row, builder, lever, row.case(builder, lever)) for row in ROWS for builder in BUILDERS for lever in LEVERS
            if row.cell(builder) is not NO_SUCH_CALL]
    for *_, case in made:
        case["files"]["hosting.json"] = json.dumps({"urls": "http://+:80"})
    real = judge.reality([case for *_, case in made], MAJORS)
    return [(*one, happened) for one, happened in zip(made, real)]


class Levers(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        judge.require_oracle()

    def test_a_lever_moves_the_port_where_the_matrix_says_so_and_nowhere_else(self):
        for row, builder, lever, case, real in everything():
            cell = row.cell(builder)
            words = (NOTHING["wab" if builder == "slim" else builder] if cell is NOT_READ else cell).split()
            others = dict(word.split("=") for word in words if "=" in word)
            moves = lever in words or lever == "EPs" and "EP" in words
            for major in MAJORS:
                with self.subTest(case["id"], major=major):
                    self.assertEqual(real[major].bound == ("http ANY:8080",), moves, real[major])
                    self.assertEqual(ports(real[major]), others.get(lever, ports(real[major])))

    def test_without_a_lever_the_low_port_is_bound_where_the_source_is_read(self):
        for row, builder, lever, case, real in everything():
            if lever == "none":
                for major in MAJORS:
                    with self.subTest(case["id"], major=major):
                        self.assertEqual("80" in ports(real[major]).split("+"), row.cell(builder) is not NOT_READ
                                         and row is not ROWS[0], real[major])

    def test_the_lever_that_portshim_names_moves_the_port_and_there_is_one_where_the_matrix_has_one(self):
        made = [(row, builder, row.case(builder, "none")) for row in ROWS for builder in BUILDERS
                if row.code and row.predicted and isinstance(row.cell(builder), str)]
        self.assertGreater(len(made), 35)
        pulled = judge.ask_predictor("lever", [case for *_, case in made])
        for (row, builder, case), after in zip(made, pulled):
            with self.subTest(case["id"]):
                levers = {word for word in row.cell(builder).split() if "=" not in word}
                self.assertEqual(after is not None, bool(levers & {"EP", "EPs", "A+", "U", "U+", "--u", "c+"}))
        after = [case for case in pulled if case is not None]
        for case, real in zip(after, judge.reality(after, MAJORS)):
            for major in MAJORS:
                with self.subTest(case["id"], env=case["env"], argv=case["argv"], major=major):
                    self.assertIn(real[major].bound, (("http ANY:8080",), ("http LOCAL:8080",)))

    def test_every_start_is_predicted(self):
        starts = [(case, real) for row, _, _, case, real in everything() if row.predicted]
        self.assertGreater(len(starts), 900)
        found = list(judge.disagreements([case for case, _ in starts], [real for _, real in starts]))
        if found:
            self.fail(judge.report(found, "starts are predicted wrongly", judge.minimised))


if __name__ == "__main__":
    portshim_test.main()
