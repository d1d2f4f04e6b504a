"""Mounts of ``--mount``, and the comma-separated fields and sizes that they are made of."""

from __future__ import annotations

import pytest

from hanoverd.spec.mounts import check_mount, parse_mount
from hanoverd.text.comma_fields import comma_fields
from hanoverd.text.sizes import parse_size

CWD = "/home/u/shop"


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("dst=/x", {"Type": "volume", "Target": "/x"}),
        ("type=bind,src=./x,dst=/x", {"Type": "bind", "Source": "/home/u/shop/x", "Target": "/x"}),
        (
            "TYPE=Bind,source=/s,TARGET=/x,RO",
            {"Type": "bind", "Source": "/s", "Target": "/x", "ReadOnly": True},
        ),
        ("type=bind,src=/s,dst=/a,dst=/b,ro=1,ro=F", {"Type": "bind", "Source": "/s", "Target": "/b"}),
        ('type=bind,"src=/s,t",dst=/x', {"Type": "bind", "Source": "/s,t", "Target": "/x"}),
        (
            "type=bind,src=/s,dst=/x,consistency=Cached,bind-propagation=RShared",
            {
                "Type": "bind",
                "Source": "/s",
                "Target": "/x",
                "Consistency": "cached",
                "BindOptions": {"Propagation": "rshared"},
            },
        ),
        (
            "type=bind,src=/s,dst=/x,bind-recursive=enabled,bind-nonrecursive=false",
            {"Type": "bind", "Source": "/s", "Target": "/x", "BindOptions": {}},
        ),
        (
            "type=bind,src=/s,dst=/x,readonly,bind-propagation=rprivate,bind-recursive=readonly",
            {
                "Type": "bind",
                "Source": "/s",
                "Target": "/x",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rprivate", "ReadOnlyForceRecursive": True},
            },
        ),
        (
            "src=data,dst=/x,volume-label=a=b,volume-label=c,volume-opt=type=nfs,volume-driver=nfs,volume-nocopy",
            {
                "Type": "volume",
                "Source": "data",
                "Target": "/x",
                "VolumeOptions": {
                    "NoCopy": True,
                    "Labels": {"a": "b", "c": ""},
                    "DriverConfig": {"Name": "nfs", "Options": {"type": "nfs"}},
                },
            },
        ),
        (
            "type=tmpfs,dst=/x,tmpfs-size=1.5k,tmpfs-mode=750",
            {"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 1536, "Mode": 0o750}},
        ),
        (
            "type=image,src=web:1,dst=/x,image-subpath=etc",
            {"Type": "image", "Source": "web:1", "Target": "/x", "ImageOptions": {"Subpath": "etc"}},
        ),
    ],
)
def test_a_mount_is_what_the_engine_takes(text: str, mount: dict[str, object]) -> None:
    assert parse_mount(text, CWD) == mount


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "EOF"),
        ("type=bind,src=/s", "target is required"),
        ("type=,dst=/x", "type is required"),
        ("dst=/x,really", "invalid field 'really' must be a key=value pair"),
        ("dst=/x,colour=red", "unexpected key 'colour' in 'colour=red'"),
        ("dst=/x, ro=1", "unexpected key ' ro' in ' ro=1'"),
        ("dst=/x,ro=yes", "invalid value for ro: yes"),
        ("dst=/x,volume-nocopy=2", "invalid value for volume-nocopy: 2"),
        ("type=tmpfs,dst=/x,tmpfs-size=big", "invalid value for tmpfs-size: big"),
        ("type=tmpfs,dst=/x,tmpfs-mode=0o7", "invalid value for tmpfs-mode: 0o7"),
        ("type=tmpfs,dst=/x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'tmpfs'"),
        ("dst=/x,bind-propagation=slave", "cannot mix 'bind-*' options with mount type 'volume'"),
        (
            "type=bind,src=/s,dst=/x,bind-recursive=no",
            'invalid value for bind-recursive: no (must be "enabled", "disabled", "writable", or "readonly")',
        ),
        (
            "type=bind,src=/s,dst=/x,bind-recursive=writable",
            "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
        ),
        (
            "type=bind,src=/s,dst=/x,ro,bind-recursive=readonly",
            ("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"),
        ),
    ],
)
def test_what_is_no_mount_is_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_mount(text, CWD)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("type=bind,dst=/x", "field Source must not be empty"),
        ("type=bind,src=s,dst=/x", "invalid mount path: 's' mount path must be absolute"),
        ("type=bind,src=/s,dst=x", "invalid mount path: 'x' mount path must be absolute"),
        ("type=bind,src=/s,dst=/", "destination can't be '/'"),
        ("type=bind,src=/s,dst=/x,bind-propagation=up", "invalid propagation mode: up"),
        ("type=folder,src=/s,dst=/x", "mount type unknown"),
        ("type=tmpfs,src=/s,dst=/x", "field Source must not be specified"),
        ("dst=/x,readonly", "must not set ReadOnly mode when using anonymous volumes"),
        ("dst=/x,volume-subpath=s", "must not set Subpath when using anonymous volumes"),
        ("src=/s,dst=/x", "includes invalid characters for a local volume name"),
    ],
)
def test_a_mount_that_the_engine_would_refuse_is_refused_at_the_start(text: str, reason: str) -> None:
    mount = parse_mount(text, CWD)
    with pytest.raises(ValueError) as caught:
        check_mount(mount)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a,b", ["a", "b"]),
        ("a,,", ["a", "", ""]),
        ('"a,b",c', ["a,b", "c"]),
        ('"say ""hi""",c', ['say "hi"', "c"]),
        ('"two\nlines",c', ["two\nlines", "c"]),
        ("\n\na,b\r\nnext", ["a", "b"]),
        ('"a"\n', ["a"]),
    ],
)
def test_quoted_fields_may_hold_commas_and_line_ends(text: str, fields: list[str]) -> None:
    assert comma_fields(text) == fields


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", "EOF"),
        ('a,b"c', 'parse error on line 1, column 4: bare " in non-quoted-field'),
        ('é,"b"c', 'parse error on line 1, column 6: extraneous or missing " in quoted-field'),
        ('a,"b', 'parse error on line 1, column 5: extraneous or missing " in quoted-field'),
        (
            '"a\nb"c',
            'record on line 1; parse error on line 2, column 2: extraneous or missing " in quoted-field',
        ),
    ],
)
def test_a_quote_in_the_wrong_place_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        comma_fields(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("7", 7),
        ("7b", 7),
        ("7K", 7168),
        ("7 kib", 7168),
        (".5m", 524288),
        ("2GB", 2 << 30),
        ("1_0", 10),
        ("2e2", 200),
    ],
)
def test_sizes_are_in_powers_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, f"invalid size: '{text}'") for text in ("", "k", "-7", "nan", "-0.1g")),
        ("9999999t", "invalid size: '9999999t' (it is too large)"),
        ("7x", "invalid suffix: 'x'"),
        ("7X", "invalid suffix: 'x'"),
        ("7kbb", "invalid suffix: 'kbb'"),
        ("7KBBS", "invalid suffix: 'KBBS'"),
        ("7e", "invalid suffix: 'e'"),
        (" 7", 'strconv.ParseFloat: parsing " 7": invalid syntax'),
        ("7  k", 'strconv.ParseFloat: parsing "7 ": invalid syntax'),
        ("0x10", 'strconv.ParseFloat: parsing "0x10": invalid syntax'),
        ("7e999", 'strconv.ParseFloat: parsing "7e999": value out of range'),
    ],
)
def test_what_is_no_size_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_size(text)
    assert str(caught.value) == message
