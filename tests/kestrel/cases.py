"""Random addresses and configurations, the same for the same seed. Most configurations start and bind something; ports
below 1024 are frequent, and so is what users get wrong."""

from __future__ import annotations

import base64
import itertools
import json
import random
import socket
import string
from collections.abc import Iterator, Sequence

Case = dict
BUILDERS = ("wab", "slim", "gh", "wh")


class _Dice(random.Random):
    """`low`: the share of ports below 1024."""

    def __init__(self, seed: str, low: float = 0.48) -> None:
        super().__init__(seed)
        self.low = low

    def weighted(self, *pairs):
        """One of (value, weight); a value that is a function of the dice is called."""
        chosen = self.choices([value for value, _ in pairs], [weight for _, weight in pairs])[0]
        return chosen(self) if callable(chosen) else chosen

    def happens(self, probability: float) -> bool:
        return self.random() < probability


# ---------------------------------------------------------------------------------------------------------------------
# Addresses

_SCHEMES = (("http",) * 12 + ("https",) * 4 +
            ("HTTP", "Http", "HTTPS", "tcp", "net.tcp", "", " http", "httpſ", "http\0", "htt", "xhttp"))
_HOSTS = ("*", "+", "localhost", "LOCALHOST", "Localhost", "localhost.", ".localhost", "a.localhost", "a.LOCALHOST",
          " .localhost", "[::1].localhost", "localhoſt", "example.com", "*.example.com", "0.0.0.0", "127.0.0.1",
          "127.1", "1", "010.0.0.1", "0x7f.1", "1.2.3", "256.1.1.1", "1.2.3.4.5", "1.2.3.", "0xffffffff", "4294967296",
          "[::]", "[::1]", "::", "::1", "[::ffff:1.2.3.4]", "[fe80::1%3]", "[fe80::1%eth9]", "fe80::1", "[::1", "::1]",
          "[::1]:0x50", "[1::2::3]", "[::1]x", "[]", "", " ", "é.example", "☃", "user@host", "user:password@host",
          "host,other", "unix:/run/x.sock", "unix:/", "unix:x", "UNIX:/x", "pipe:/name", "pipe:/", "${HOST}", "\u200b")
_PORTS = ("80", "443", "8080", "0", "1", "1023", "1024", "65535", "65536", "-1", "-0", "+8080", " 80", "80 ", "080",
          "000000000000000000080", "2147483647", "2147483648", "99999999999", "", "abc", "80abc", "0x50", "8_080",
          "8,080", "８０", "²", "80\0", "\x0b80", "80\r\n", "${PORT}", "$PORT", "80;", "80 81", "80,81", "+", "-", "+-1",
          "1e3")
_PATHS = ("",) * 12 + ("/", "//", "/x", "/x/", "?q", "#f", "\\", ":", ":1", " ", "\n", "\0", "@", "://", "%20")
_SCOPES = ("0", "1", "3", "12", "4294967295", "4294967296", "+1", " 1", "1 ", "x", "eth9", "", "１")
_SPICE = (string.ascii_letters + string.digits + string.punctuation +
          " \t\r\n\0\x0bé²０１ıſ\u0130\u212a\u00a0\u2028\ufeff😀")


def _number(dice: _Dice) -> str:
    value = dice.choice((dice.randrange(1, 1024), dice.randrange(1024, 65536), dice.randrange(65536, 70000),
                         dice.randrange(1 << 33)))
    before, after = ("", "", "", "", "0", "+", "-", " ", "00000"), ("", "", "", "", " ", "\t", "\0")
    return dice.choice(before) + str(value) + dice.choice(after)


def _ip4(dice: _Dice) -> str:
    forms = (str, str, str, hex, lambda n: "0" + oct(n)[2:], lambda n: f"{n:03}")
    top = dice.choice((256, 256, 256, 300, 1 << 16))
    return ".".join(dice.choice(forms)(dice.randrange(top)) for _ in range(dice.choice((1, 2, 3, 4, 4, 4, 4, 5))))


def _ip6(dice: _Dice) -> str:
    def group() -> str:
        return "0" if dice.happens(0.3) else format(dice.randrange(1 << dice.choice((4, 8, 16, 16, 17))),
                                                    dice.choice("xX"))

    groups = [group() for _ in range(dice.choice((8, 8, 8, 7, 9, dice.randrange(1, 9))))]
    if dice.happens(0.6):
        start = dice.randrange(len(groups))
        groups[start:start + dice.randrange(1, 8)] = [""] if 0 < start < len(groups) - 1 else ["", ""]
    text = ":".join(groups)
    if dice.happens(0.2):
        text = text[:text.rfind(":") + 1] + _ip4(dice)
    if dice.happens(0.2):
        text += "%" + dice.choice(_SCOPES)
    return text if dice.happens(0.3) else f"[{text}]"


def _mutated(dice: _Dice, text: str) -> str:
    for _ in range(dice.choice((1, 1, 2, 3))):
        at, other = sorted((dice.randrange(len(text) + 1), dice.randrange(len(text) + 1)))
        changed = (dice.choice(_SPICE) + text[at:], text[at + 1:], dice.choice(_SPICE) + text[at + 1:],
                   text[at:other] + text[at:])
        text = text[:at] + dice.choice(changed)
    return text


def _address(dice: _Dice, known: Sequence[str]) -> str:
    kind = dice.random()
    if kind < 0.15:
        return _mutated(dice, dice.choice(known))
    host = dice.choice((_ip4, _ip6))(dice) if dice.happens(0.35) else dice.choice(_HOSTS)
    port = ":" + (_number(dice) if dice.happens(0.5) else dice.choice(_PORTS)) if dice.happens(0.85) else ""
    address = dice.choice(_SCHEMES) + "://" + host + port + dice.choice(_PATHS)
    return _mutated(dice, address) if kind < 0.45 else address


def addresses(seed: int, count: int, known: Sequence[str]) -> list[str]:
    """`count` addresses, of all sorts; some are mutations of `known` ones. None has the name of an interface that this
    host has, which .NET replaces by its number."""
    dice = _Dice(f"addresses {seed}")
    interfaces = [f"%{name}" for _, name in socket.if_nameindex()]
    made = (_address(dice, known) for _ in itertools.count())
    return list(itertools.islice((one for one in made if not any(name in one for name in interfaces)), count))


# ---------------------------------------------------------------------------------------------------------------------
# Values of settings


def _low_port(dice: _Dice) -> str:
    return dice.choice(("80", "80", "80", "443", "81", "25", "1", "1023", str(dice.randrange(1, 1024))))


def _high_port(dice: _Dice) -> str:
    return dice.choice(("8080", "8080", "8443", "5000", "1024", "8081", "65535", str(dice.randrange(1024, 65536))))


def _good_port(dice: _Dice) -> str:
    return _low_port(dice) if dice.happens(dice.low) else _high_port(dice)


def _port(dice: _Dice) -> str:
    odd = dice.choice(("", "abc", "${PORT}", "99999", "65536", "-1", " 80", "80 ", "080", "+80", "8080,8081", "８０",
                       "80\t"))
    return dice.weighted((_good_port, 92), ("0", 3), (odd, 5))


_ODD_URLS = ("garbage", "8080", "tcp://+:1", "http://unix:/run/x.sock", "http://pipe:/p", "http://:80", "http://")


def _url(dice: _Dice, https: float) -> str:
    if dice.happens(0.02):
        return dice.choice(_ODD_URLS)
    scheme = "https" if dice.happens(https) else dice.weighted(("http", 95), ("HTTP", 3), ("Http", 2))
    host = dice.weighted(("+", 30), ("*", 22), ("localhost", 12), ("0.0.0.0", 8), ("127.0.0.1", 6), ("[::]", 6),
                         ("[::1]", 4), ("example.com", 5), ("app.localhost", 4), ("user@host", 1))
    # Port 0 of localhost is an error.
    port = _good_port(dice) if host in ("localhost", "app.localhost") else _port(dice)
    return f"{scheme}://{host}{'' if dice.happens(0.03) else f':{port}'}" + dice.weighted(("", 97), ("/", 2), ("/x", 1))


def _urls(dice: _Dice, https: float) -> str:
    if dice.happens(0.07):
        return dice.choice(("", "", " ", ";", "; ", ";;", "\n"))
    items = [_url(dice, https) for _ in range(dice.weighted((1, 62), (2, 25), (3, 10), (4, 3)))]
    separator = dice.weighted((";", 94), (";;", 3), ("; ", 2), (",", 1))
    return dice.weighted(("", 95), (";", 5)) + separator.join(items) + dice.weighted(("", 92), (";", 7), ("\n", 1))


def _ports(dice: _Dice) -> str:
    if dice.happens(0.07):
        return dice.choice(("", "", " ", ";", "*", "http://+:80", "80;;81;", "\u00a080\u3000", "+:3", "80/"))
    items = [_port(dice) for _ in range(dice.weighted((1, 70), (2, 22), (3, 8)))]
    return dice.weighted((";", 85), (" ; ", 10), (";;", 5)).join(items)


def _boolean(dice: _Dice) -> str:
    return dice.weighted(("true", 45), ("True", 8), ("TRUE", 4), ("1", 12), ("false", 14), ("0", 4), ("", 5),
                         ("yes", 4), (" true", 2), ("trué", 2))


def _protocols(dice: _Dice) -> str:
    return dice.weighted(("Http1", 25), ("Http1AndHttp2", 25), ("http2", 15), ("Http1AndHttp2AndHttp3", 10),
                         ("Http3", 6), ("None", 3), ("80", 3), ("3", 4), ("x", 6), ("", 5))


# Whether a password fits, or a key its certificate, is not predicted: so there are no such certificates here.
_GOOD_CERTIFICATES = {name: {"certificate": name} for name in ("server.pfx", "server.pem", "server.key")}
_BAD_CERTIFICATES = {"junk.pfx": "junk", "empty.pem": "", "empty.pfx": "", "folder.pfx": {"directory": True},
                     "cut.pfx": {"certificate": "cut.pfx"}}
_ABSENT_CERTIFICATES = ("missing.pfx", "missing.pem", "no/such/missing.pfx", "/nonexistent/x.pfx")


def _certificate(dice: _Dice) -> list[tuple[str, str]]:
    """The keys of a certificate's section."""
    bad = dice.choice((*_BAD_CERTIFICATES, *_ABSENT_CERTIFICATES))
    key = ("KeyPath", dice.choice(("server.key", "server.key", "server.pem", "", bad)))
    password = [("Password", dice.choice(("", "x")))] if dice.happens(0.2) else []
    return dice.weighted(([("Path", "server.pfx")], 65), ([("Path", "")], 6), ([("Path", bad)], 18),
                         ([("Path", "server.pem")], 10), ([("Path", "server.pem"), key, *password], 20),
                         ([("Path", dice.choice(("server.pfx", bad))), key], 4),
                         ([("Subject", "nobody")], 2), ([("Subject", "nobody"), ("Store", "My")], 2),
                         ([("Path", "server.pfx"), ("Subject", "nobody")], 3))


# ---------------------------------------------------------------------------------------------------------------------
# Settings: the parts of a key, and its value

Setting = tuple[tuple[str, ...], str]
_ENDPOINTS = ("Http", "Http", "Http", "Https", "a", "b", "10", "9", "_x", "a-b", "+5", "é", "")
_CLIENT_CERTIFICATE_MODES = ("NoCertificate", "allowCertificate", "2", "x", "")
_SSL_PROTOCOLS = ("Tls12", "tls13", "None", "x")


def _endpoint(dice: _Dice, https: float) -> list[Setting]:
    """An endpoint: nearly always with a Url, and what belongs to https mostly where that is."""
    section = ("Kestrel", "Endpoints", dice.choice(_ENDPOINTS))
    is_https = dice.happens(https)
    settings: list[Setting] = []
    if dice.happens(0.97):
        settings.append(((*section, "Url"), _url(dice, float(is_https))))
    if dice.happens(0.12):
        settings.append(((*section, "Protocols"), _protocols(dice)))
    if dice.happens(0.4 if is_https else 0.02):
        settings += [((*section, "Certificate", key), value) for key, value in _certificate(dice)]
    if dice.happens(0.3 if is_https else 0.02):
        settings.append(((*section, "ClientCertificateMode"), dice.choice(_CLIENT_CERTIFICATE_MODES)))
    if dice.happens(0.3 if is_https else 0.02):
        item = dice.choice((("0",), ("1",), ()))
        settings.append(((*section, "SslProtocols", *item), dice.choice(_SSL_PROTOCOLS)))
    if dice.happens(0.15 if is_https else 0.02):
        sni = (*section, "Sni", "*.example.com", "Certificate")
        settings += [((*sni, key), value) for key, value in _certificate(dice)]
    return settings


def _iis(dice: _Dice) -> list[Setting]:
    settings = [(("PORT",), dice.choice(("5555", "80", "tcp://10.0.0.1:80", "", "x"))),
                (("APPL_PATH",), dice.choice(("/", "/", "/", "/app", "x", ""))),
                (("TOKEN",), dice.choice(("t", "t", "t", "")))]
    return settings if dice.happens(0.8) else dice.sample(settings, 2)


def _odd_setting(dice: _Dice) -> Setting:
    endpoint = ("Kestrel", "Endpoints", dice.choice(_ENDPOINTS))
    return dice.choice(((("Kestrel",), "x"), (("Kestrel", "Endpoints"), "x"), (("Kestrel", "Endpoints"), ""),
                        (endpoint, "http://+:80"), (("Kestrel", "EndpointDefaults", "Url"), "http://+:80"),
                        (("urls", "0"), "http://+:80"), (("hosting", "urls"), "http://+:80"), (("AllowedHosts",), "*"),
                        (("ConnectionStrings", "Default"), "Host=db")))


def _settings(dice: _Dice, https: float) -> list[Setting]:
    """One thing that an image, a chart or a file sets."""
    return dice.weighted(
        (lambda dice: [(("urls",), _urls(dice, https))], 30),
        (lambda dice: [(("http_ports",), _ports(dice))], 18),
        (lambda dice: [(("https_ports",), _ports(dice))], 2 + 20 * https),
        (lambda dice: [(("preferHostingUrls",), _boolean(dice))], 9),
        (lambda dice: _endpoint(dice, https), 22),
        (lambda dice: [(("Kestrel", "EndpointDefaults", "Protocols"), _protocols(dice))], 2),
        (lambda dice: [(("Kestrel", "Certificates", "Default", key), value) for key, value in _certificate(dice)], 3),
        (lambda dice: [(("server.urls",), _urls(dice, https))], 2),
        (_iis, 2),
        (lambda dice: [_odd_setting(dice)], 4))


# ---------------------------------------------------------------------------------------------------------------------
# Variables and arguments

_PREFIXES = ("ASPNETCORE_",) * 9 + ("DOTNET_",) * 5 + ("",) * 9
_ODD_PREFIXES = ("aspnetcore_", "AspNetCore_", "dotnet_", "ASPNETCORE__", "DOTNET:", "ASPNETCORE", "URLS_", "_")
_OTHER_ARGUMENTS = ("word", "/", "--", "-x", "--flag", "=v", "--=v", "/data", "a=b", "-", "é", "--verbose=true", "")
_OTHER_VARIABLES = ("ASPNETCORE_HTTPS_PORT", "PORT", "X", "DOTNET_RUNNING_IN_CONTAINER", "ASPNETCORE_")


def _cased(dice: _Dice, text: str) -> str:
    """Mostly as documented."""
    return dice.weighted((text, 75), (text.upper(), 12), (text.lower(), 8), (text.swapcase(), 3), (text.title(), 2))


def _variable(dice: _Dice, setting: Setting) -> list[str]:
    parts, value = setting
    prefix = dice.choice(_ODD_PREFIXES if dice.happens(0.06) else _PREFIXES)
    name = dice.weighted(("__", 90), (":", 9), ("_", 1)).join(parts)
    return [prefix + (name.upper() if len(parts) == 1 and dice.happens(0.6) else _cased(dice, name)), value]


def _argument(dice: _Dice, setting: Setting) -> list[str]:
    parts, value = setting
    key = _cased(dice, dice.weighted((":", 99), ("__", 1)).join(parts))
    return dice.weighted(([f"--{key}={value}"], 40), ([f"--{key}", value], 35), ([f"/{key}={value}"], 7),
                         ([f"/{key}", value], 7), ([f"{key}={value}"], 8), ([f"--{key}"], 2),
                         ([f"-{key}={value}"], 0.5), ([f"-{key}", value], 0.5))


# ---------------------------------------------------------------------------------------------------------------------
# JSON files. An object in the making is a list of (key, value), so that a key may occur twice.


class _Raw(str):
    """A value that stands without quotes."""


def _json_value(dice: _Dice, value: str):
    if dice.happens(0.04):
        return dice.choice((None, True, False, [], {}, [value], {"x": value}, _Raw("8.08e3"), _Raw("-0"), _Raw("80"),
                            _Raw("01"), _Raw("1e")))
    if value.isascii() and value.isdigit() and value == str(int(value)) and dice.happens(0.7):
        return _Raw(value)
    if value.lower() in ("true", "false") and dice.happens(0.7):
        return value.lower() == "true"
    return value


def _is_object(value) -> bool:
    return isinstance(value, list) and all(isinstance(item, tuple) for item in value)


def _insert(dice: _Dice, members: list, parts: Sequence[str], value) -> None:
    """Adds a setting to an object: nested mostly, flat, or as an object of the same name once more."""
    flat = dice.randrange(1, len(parts) + 1) if dice.happens(0.08) else 1
    key, rest = _cased(dice, ":".join(parts[:flat])), parts[flat:]
    if not rest:
        members.append((key, value))
        return
    known = [inner for name, inner in members if name.lower() == key.lower() and _is_object(inner)]
    if not known or dice.happens(0.1):
        members.append((key, []))
        known = [members[-1][1]]
    _insert(dice, known[0], rest, value)


def _quoted(dice: _Dice, text: str) -> str:
    if dice.happens(0.03) and text and ord(text[at := dice.randrange(len(text))]) < 0x10000:
        return json.dumps(text[:at])[:-1] + f"\\u{ord(text[at]):04x}" + json.dumps(text[at + 1:])[1:]
    return json.dumps(text, ensure_ascii=dice.happens(0.3))


def _space(dice: _Dice) -> str:
    return dice.weighted(("", 60), (" ", 30), ("\n  ", 6), ("\t", 1), ("\r\n", 1), ("/* c */", 1), ("// c\n", 1))


def _end(dice: _Dice) -> str:
    return _space(dice) + dice.weighted(("", 95), (",", 5)) + _space(dice)


def _written(dice: _Dice, value) -> str:
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, str):
        return _quoted(dice, value)
    if isinstance(value, dict) and value:
        value = list(value.items())
    if isinstance(value, list) and value and _is_object(value):
        return "{" + ",".join(_member(dice, key, inner) for key, inner in value) + _end(dice) + "}"
    if isinstance(value, list) and value:
        return "[" + ",".join(_written(dice, item) for item in value) + _end(dice) + "]"
    return json.dumps(value)


def _member(dice: _Dice, key: str, value) -> str:
    colon = dice.choice(("", "", " ")) + ":"
    return _space(dice) + _quoted(dice, key) + colon + _space(dice) + _written(dice, value)


def _encoded(content: bytes) -> dict:
    return {"base64": base64.b64encode(content).decode()}


def _odd_json(dice: _Dice, text: str) -> str | dict:
    """What is no plain UTF-8 text with an object."""
    deep = dice.choice((62, 63, 64))
    wrong_bytes = dice.choice((b"\xe9", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"))
    other = dice.choice(("", " \n", "//x", "[]", "null", '"x"', "1", "true", text + "x", text + "\0", text + text,
                         "#x\n" + text, "{,}"))
    odd_string = dice.choice(("\\ud800", "\\udc00", "\\ud83d\\ude00", "\\x", "\t"))
    return dice.weighted(
        (lambda dice: _mutated(dice, text), 30), (text[:dice.randrange(len(text) + 1)], 6), (other, 14),
        ("\ufeff" + text, 15), ("\ufeff\ufeff" + text, 2),
        (_encoded(b"\xff\xfe" + text.encode("utf-16-le")), 4), (_encoded(b"\xfe\xff" + text.encode("utf-16-be")), 3),
        (_encoded(text.encode("utf-16-le")), 2), (_encoded(b"\xff\xfe\0\0" + text.encode("utf-32-le")), 2),
        (_encoded(text.encode().replace(b"h", wrong_bytes, 1)), 5),
        ('{"a":' * deep + "{}" + "}" * deep, 3), ('{"a":' + "[" * deep + "]" * deep + "}", 3),
        ('{"x":"' + odd_string + '",' + text.lstrip()[1:], 4),
        (text[:-1] + " " * 300_000 + text[-1:], 1), ('{"k":"' + "v" * 300_000 + '",' + text.lstrip()[1:], 1))


def _json_file(dice: _Dice, settings: Sequence[Setting]) -> str | dict:
    members: list = []
    for parts, value in settings:
        _insert(dice, members, parts, _json_value(dice, value))
    if dice.happens(0.05):
        key = _cased(dice, dice.choice(("urls", "http_ports", "Kestrel", "x")))
        members.append((key, dice.choice((None, [], {}, "", "x"))))
    if dice.happens(0.03):
        endpoints = [{"Url": _url(dice, 0)} for _ in range(dice.randrange(1, 3))]
        members.append(("Kestrel", {"Endpoints": endpoints}))
    dice.shuffle(members)
    text = _space(dice) + _written(dice, members) + _space(dice) if members else "{}"
    return _odd_json(dice, text) if dice.happens(0.07) else text


# ---------------------------------------------------------------------------------------------------------------------
# The app's code: operations of oracle/AppCode.cs

Operation = list


def _listen(dice: _Dice, https: float) -> Operation:
    port = int(_good_port(dice))
    port_or_zero = 0 if dice.happens(0.03) else port
    ip = dice.choice(("0.0.0.0", "127.0.0.1", "10.1.2.3", "::", "::1"))
    return dice.weighted((["ListenAnyIP", port_or_zero], 35), (["ListenLocalhost", port_or_zero], 20),
                         (["Listen", ip, port_or_zero], 20), (["ListenHttps", ip, port], 10 + 40 * https),
                         (["ListenUnixSocket", "/run/x.sock"], 4))


def _use_setting(dice: _Dice, https: float) -> Operation:
    key, value = dice.weighted((("urls", _urls(dice, https)), 4), (("preferHostingUrls", _boolean(dice)), 3),
                               (("http_ports", _ports(dice)), 4), (("https_ports", _ports(dice)), 1),
                               (("server.urls", _urls(dice, https)), 1))
    return ["UseSetting", _cased(dice, key), value]


def _operation(dice: _Dice, builder: str, https: float) -> Operation:
    """One call. The variables are added to a configuration that does not have them; the host's environment is fixed
    when a WebApplication's code runs."""
    url = _url(dice, https)
    more = [_url(dice, https)] if dice.happens(0.3) else []
    return dice.weighted(
        (["UseUrls", _urls(dice, https), *more], 24), (lambda dice: _use_setting(dice, https), 12),
        (["PreferHostingUrls", dice.happens(0.7)], 10), (lambda dice: _listen(dice, https), 35),
        (["AppUrlsAdd", url], 12), (["AppRun", url], 8),
        (["UseKestrelHttpsConfiguration"], 10 if builder in ("slim", "empty") else 2),
        (["UseKestrelListenAnyIP", int(_good_port(dice))], 4 if builder in ("slim", "empty") else 2),
        (["KestrelConfigure"], 15 if builder == "empty" else 2),
        (["AddEnvironmentVariables"], 15 if builder == "empty" else 0),
        (["UseSetting", "environment", "Staging"], 2 if builder in ("gh", "wh") else 0))


def _code(dice: _Dice, builder: str, https: float) -> list[Operation]:
    number = dice.weighted((1, 45), (2, 30), (3, 15), (5, 10))
    return [_operation(dice, builder, https) for _ in range(number)]


# ---------------------------------------------------------------------------------------------------------------------
# Configurations

_ENVIRONMENTS = ("Staging", "Staging", "Development", "production", "Production", "", "a/b", "é")
_ASSEMBLIES = ("App", "oracle")
_APPLICATIONS = ("App", "App", "oracle", "", "a/b", ".x", "é")
# The value of contentRoot, and where files belong then.
_CONTENT_ROOTS = (("{DIR}/root", "root/"), ("{DIR}/root", "root/"), ("{DIR}/root/", "root/"), ("{DIR}/link", "root/"),
                  ("{DIR}/./root", "root/"), ("{DIR}//root/../root", "root/"), ("{DIR}", ""), ("", ""), ("beside", ""),
                  ("missing", ""), ("{DIR}/missing", ""), ("{DIR}/file", ""), ("{DIR}/dangling", ""), ("/", ""))
_CONTENT_ROOT_FILES = {"root": {"directory": True}, "link": {"link": "root"}, "dangling": {"link": "nowhere"}}


class _Configuration:
    """A case in the making."""

    def __init__(self, dice: _Dice, builder: str | None = None, with_code: bool = True) -> None:
        self.dice = dice
        builder = builder or dice.weighted(("wab", 42), ("slim", 14), ("gh", 20), ("wh", 16), ("empty", 8))
        self.case: Case = {"builder": builder, "cert": dice.happens(0.4), "files": {}}
        self.https = 0.25 if self.case["cert"] and builder not in ("slim", "empty") else 0.02
        if with_code and dice.happens(0.6 if builder == "empty" else 0.25):
            offers_https = self.case["cert"] and dice.happens(0.5)
            self.case["code"] = _code(dice, builder, 0.25 if offers_https else self.https)
            if "UseKestrel" in json.dumps(self.case["code"]) and offers_https:
                self.https = 0.25
        self.env: list[list[str]] = []
        self.argv: list[str] = []
        self.settings: dict[str, list[Setting]] = {}  # by file
        self.root, self.environment, self.application = "", "Production", "oracle"

    def make(self) -> Case:
        self._choose_environment()
        self._choose_application()
        self._choose_root()
        for _ in range(self.dice.weighted((1, 20), (2, 30), (3, 25), (4, 15), (5, 10))):
            self._place(_settings(self.dice, self.https))
        self._add_noise()
        self._add_files()
        # The very same name twice cannot be set from within .NET.
        entries = {name: value for name, value in reversed(self.env) if name}
        self.case["env"] = [list(pair) for pair in reversed(entries.items())]
        self.case["argv"] = self.argv
        return self.case

    def _set(self, key: str, value: str) -> None:
        """A setting of the host: where it is read, and sometimes where it is not."""
        where = self.dice.random()
        if where < 0.8:
            prefix = self.dice.weighted(("ASPNETCORE_", 60), ("DOTNET_", 35), ("", 5))
            self.env.append([prefix + (key.upper() if self.dice.happens(0.8) else _cased(self.dice, key)), value])
        elif where < 0.97:
            self.argv += _argument(self.dice, ((key,), value))
        else:
            self.settings.setdefault("appsettings.json", []).append(((key,), value))

    def _choose_environment(self) -> None:
        if self.dice.happens(0.2):
            self.environment = self.dice.choice(_ENVIRONMENTS)
            self._set("environment", self.environment)
            if self.dice.happens(0.2):
                self._set("environment", self.dice.choice(("Staging", "Production", "")))
        if self.dice.happens(0.03):
            name = self.dice.choice(("Hosting:Environment", "ASPNET_ENV", "HOSTING__ENVIRONMENT"))
            self.env.append([name, self.dice.choice(("Staging", ""))])
            self.environment = "Staging"

    def _choose_application(self) -> None:
        if self.dice.happens(0.06):
            # In Development the assembly of that name is looked for, and not every name can be one.
            odd = "Development" not in json.dumps([self.env, self.argv])
            self.application = self.dice.choice(_APPLICATIONS if odd else _ASSEMBLIES)
            self._set("applicationName", self.application)

    def _choose_root(self) -> None:
        if self.dice.happens(0.06):
            self.case["cwd"] = "work"
            self.root = self.dice.choice(("work/", "work/", ""))
        if self.dice.happens(0.14):
            value, self.root = self.dice.choice(_CONTENT_ROOTS)
            self._set("contentRoot", value)
            self.case["files"] = _CONTENT_ROOT_FILES | {"file": self.dice.choice(("", {"fifo": True}))}

    def _file(self) -> str:
        application = self.application.replace("/", "_") or "oracle"
        environment = self.environment
        if self.dice.happens(0.15):
            environment = self.dice.choice(("Production", "Staging", "Development", ""))
        other = self.dice.choice(("AppSettings.json", "hostsettings.json", "hosting.json"))
        return self.dice.weighted(("appsettings.json", 55), (f"appsettings.{environment}.json", 30),
                                  (f"{application}.settings.json", 7),
                                  (f"{application}.settings.{environment}.json", 5), (other, 3))

    def _place(self, settings: list[Setting]) -> None:
        """Puts what belongs together mostly into one source."""
        place = self.dice.weighted(("variables", 45), ("arguments", 18), ("file", 37))
        file = self._file()
        for setting in settings:
            if self.dice.happens(0.05):
                place = self.dice.choice(("variables", "arguments", "file"))
            if place == "variables":
                self.env.append(_variable(self.dice, setting))
            elif place == "arguments":
                self.argv += _argument(self.dice, setting)
            else:
                self.settings.setdefault(file, []).append(setting)

    def _add_noise(self) -> None:
        dice = self.dice
        if dice.happens(0.25):
            self.env.append(["ASPNETCORE_HTTP_PORTS", "8080"])  # of the images
        if dice.happens(0.1):
            self.argv.insert(dice.randrange(len(self.argv) + 1), dice.choice(_OTHER_ARGUMENTS))
        if dice.happens(0.05):
            self.env.append([dice.choice(_OTHER_VARIABLES), "80"])
        if dice.happens(0.05):
            self.case["noargs"] = True
        if dice.happens(0.04) and self.env:
            name, value = dice.choice(self.env)
            other = _urls(dice, self.https) if "url" in name.lower() else value
            self.env.append([dice.choice((name.swapcase(), name.replace("__", ":"), name.lower())), other])
        dice.shuffle(self.env)

    def _add_files(self) -> None:
        files = self.case["files"]
        if self.dice.happens(0.3):
            self.settings.setdefault("appsettings.json", [])
        for name, settings in self.settings.items():
            root = self.dice.choice(("", "root/", "work/")) if self.dice.happens(0.07) else self.root
            files[root + name] = _json_file(self.dice, settings)
        if self.dice.happens(0.01):
            odd = ({"directory": True}, {"link": "nowhere"}, {"link": "appsettings.json"})
            files[self.root + self._file()] = self.dice.choice(odd)
        named = json.dumps([self.env, self.argv, list(self.settings.values())])
        for name, content in (_GOOD_CERTIFICATES | _BAD_CERTIFICATES).items():
            if name in named:
                files[self.root + name] = content


def configuration(seed: int, index: int) -> Case:
    """The configuration of that number, with the id "SEED/INDEX"."""
    return {"id": f"{seed}/{index}"} | _Configuration(_Dice(f"configuration {seed} {index}")).make()


def configurations(seed: int, count: int) -> list[Case]:
    return [configuration(seed, index) for index in range(count)]


def rewrites(seed: int, count: int) -> Iterator[Case]:
    """Configurations for policy::make_plan: most bind a low port. Each is for one builder and version, or (one in five)
    for all builders that an unknown app may use."""
    for index in range(count):
        dice = _Dice(f"rewrite {seed} {index}", low=0.85)
        builder = dice.choice(BUILDERS)
        case = _Configuration(dice, builder, with_code=False).make()
        del case["builder"]
        builders = list(BUILDERS) if dice.happens(0.2) else [builder]
        yield {"id": f"{seed}/rewrite/{index}"} | case | {"builders": builders, "majors": [dice.choice((8, 9, 10))]}
