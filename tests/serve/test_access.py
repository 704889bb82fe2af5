"""Who may use the server, and that no request makes it fail."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from conftest_serve import serving
from hypothesis import given, settings
from hypothesis import strategies as st

from bolus.serve.access import LARGEST_BODY, Access
from bolus.serve.open_results import Volumes, open_results
from bolus.serve.results_app import results_app


def test_every_answer_carries_the_headers_that_fence_a_page_in(page: httpx.Client) -> None:
    for url in ("/", "/api/session", "/api/no-such", "/api/exams/0/volumes/nlr/cbf.nii.gz"):
        headers = page.get(url).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self' 'unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers or "uvicorn" in headers["server"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "x@127.0.0.1"])
def test_another_name_for_this_machine_is_refused(page: httpx.Client, host: str) -> None:
    assert page.get("/api/session", headers={"Host": host}).status_code in (400, 421)


def test_a_foreign_page_can_neither_write_nor_read(page: httpx.Client) -> None:
    asked = {"method": "nlr", "preset": "rapid"}
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = page.post("/api/exams/0/lesion", json=asked, headers=headers)
        assert answer.status_code == 403, headers
    assert page.get("/api/session", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    own = {"Origin": str(page.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert page.post("/api/exams/0/lesion", json=asked, headers=own).status_code == 200


def test_on_a_network_every_request_needs_the_token(out: Path) -> None:
    app = results_app([out])
    with serving(app, token="secret", host="0.0.0.0") as url, httpx.Client(base_url=url) as page:
        for path in ("/", "/api/session", "/api/exams/0/volumes/nlr/cbf.nii.gz", "/no-such"):
            assert page.get(path).status_code == 401
            assert page.get(path, headers={"X-Bolus-Token": "secreu"}).status_code == 401
            assert page.get(f"{path}?token=").status_code == 401
        assert page.get("/api/session", headers={"X-Bolus-Token": "secret"}).status_code == 200
        opened = page.get("/?token=secret")
        cookie = opened.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "secret" not in opened.text  # the address without it is loaded next
        assert page.get("/api/session").status_code == 200  # by the cookie


def test_a_machine_on_a_network_is_known_by_its_addresses_only() -> None:
    public = Access(host="0.0.0.0", port=80, token="x")
    assert public.knows("192.0.2.7")
    assert public.knows("[2001:db8::1]:80")
    assert not public.knows("rebound.example")
    assert not public.knows("192.0.2.7:81")
    assert not Access(port=80).knows("192.0.2.7")


def test_paths_lead_nowhere_else(page: httpx.Client) -> None:
    for path in (
        "../summary.json", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/x.nii.gz", "/etc/passwd",
        "nlr/../../x.nii.gz", "summary.json", "voxels.npz", "nlr/cbf", "nlr\\cbf.nii.gz",
        "%00.nii.gz",
    ):  # fmt: skip
        assert page.get(f"/api/exams/0/volumes/{path}").status_code == 404, path
        assert page.get(f"/{path}").status_code == 404, path


def test_links_out_of_the_folder_are_not_followed(out: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(out, tmp_path / "own"))
    outside = tmp_path / "outside.nii.gz"
    shutil.copy(out / "brain.nii.gz", outside)
    (own / "nlr/cbf_se.nii.gz").symlink_to(outside)
    summary = json.loads((own / "summary.json").read_text())
    summary["methods"]["../../x"] = summary["methods"]["nlr"]
    (own / "summary.json").write_text(json.dumps(summary))
    exam = open_results(0, own, Volumes())
    assert "nlr/cbf_se" not in exam.files
    assert not any(".." in key for key in exam.files)


def test_what_is_too_large_is_refused_before_it_is_read(page: httpx.Client) -> None:
    url = "/api/exams/0/outlines/anna/slices/0?revision=0&active_s=0"

    def endless() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 2**20 + 2):
            yield bytes(2**20)

    for content in (bytes(LARGEST_BODY + 1), endless()):
        # refused so early that the rest may not be sent
        with suppress(httpx.TransportError):
            assert page.put(url, content=content).status_code == 413
    assert page.get("/api/exams/0/outlines").json() == {"raters": []}


@settings(max_examples=80)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
    path=st.one_of(
        st.text(max_size=60),
        st.sampled_from([
            "api/exams/0/lesion", "api/exams/0/recompute", "api/jobs/j1", "api/exams/0",
            "api/exams/0/voxel/1/1/1", "api/exams/0/outlines/anna", "api/exams/zz/lesion",
            "api/exams/0/outlines/anna/export", "api/colours", "api/sign-in",
        ]),
    ),
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=9), st.integers()),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(["method", "preset", "core_map", "core_below", "aif"]),
                    inner, max_size=4,
                ),
            ),
            max_leaves=8,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    kind=st.sampled_from(["application/json", "application/octet-stream", "text/plain", "é"]),
)  # fmt: skip
def test_no_request_is_a_fault(
    page: httpx.Client, method: str, path: str, body: bytes, kind: str
) -> None:
    try:
        url = page.base_url.join("/" + path.lstrip("/"))
        headers = {"Content-Type": kind.encode()}
        answer = page.request(method, url, content=body, headers=headers)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
        return
    assert answer.status_code < 500, (method, path, body, answer.text)
    if answer.status_code >= 400 and method != "HEAD" and "json" in answer.headers["content-type"]:
        assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    "junk",
    [
        b"\0\1\2\3\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe x\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
    ],
)
def test_bytes_that_are_no_request_end_one_connection(page: httpx.Client, junk: bytes) -> None:
    with socket.create_connection((page.base_url.host, page.base_url.port), 5) as raw:
        raw.sendall(junk)
        raw.settimeout(5)
        raw.recv(1000)
    assert page.get("/api/session").status_code == 200


def test_the_command_answers_soon_and_listens_on_loopback_only(out: Path, tmp_path: Path) -> None:
    """What is imported decides how soon, and the machine may be busy: so that is looked at."""
    imports = tmp_path / "imports"
    command = [sys.executable, "-X", "importtime", "-m", "bolus", "view", out]
    with imports.open("w") as stream:
        server = subprocess.Popen(
            [*command, "--port", "0", "--no-browser"],
            stdout=subprocess.PIPE, stderr=stream, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            assert url.startswith("http://127.0.0.1:")
            # all that the page asks for before its first picture
            for path in ("", "api/session", "api/colours", "api/exams/0",
                         "api/exams/0/volumes/nlr/cbf.nii.gz"):  # fmt: skip
                assert httpx.get(f"{url}{path}", timeout=30).status_code == 200, path
        finally:
            server.terminate()
            server.communicate(timeout=30)
    loaded = {line.rpartition("|")[2].strip() for line in imports.read_text().splitlines()}
    assert "fastapi" in loaded
    heavy = {
        "numba",
        "scipy",
        "matplotlib",
        "nibabel",
        "onnxruntime",
        "highdicom",
        "pydicom",
        "jinja2",
    }
    assert not heavy & loaded


def test_another_address_gets_a_token(out: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "bolus", "view", out, "--host", "0.0.0.0", "--port", "0",
         "--no-browser"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        url = httpx.URL(server.stdout.readline().split()[-1])
        token = url.params["token"]
        assert len(token) >= 32
        assert httpx.get(url.join("/api/session")).status_code == 401
        given_it = httpx.get(url.join("/api/session"), headers={"X-Bolus-Token": token})
        assert given_it.status_code == 200
    finally:
        server.terminate()
        server.communicate()


def test_wrong_usage_is_reported_in_one_line(out: Path, tmp_path: Path) -> None:
    for arguments, code, sentence in (
        ((), 2, "bolus view OUT"),
        ((str(tmp_path),), 3, "holds no results"),
        ((str(out), "--host", "203.0.113.9"), 2, "can't be listened on"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "bolus", "view", *arguments, "--no-browser"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert sentence in done.stderr
