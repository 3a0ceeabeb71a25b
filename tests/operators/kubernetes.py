"""What deploy/kubernetes says, as Kubernetes would read it.

    kubernetes.py BRIDGE SCHEMA-CHECK KUSTOMIZE…    checks
    kubernetes.py --update                          writes the PrometheusRule anew

BRIDGE is the binary, SCHEMA-CHECK a program that takes custom resources on its standard input, KUSTOMIZE a command that builds a folder.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kubernetes"
RULES = FOLDER / "base/prometheusrule.yaml"
CUSTOM = "monitoring.coreos.com/v1"
HEAD = "# Made from deploy/prometheus by `python3 tests/operators/kubernetes.py --update`.\n"


def rules():
    """The rules of deploy/prometheus, as the operator wants them."""
    files = [yaml.safe_load((ROOT / "deploy/prometheus" / name).read_text()) for name in ("recording.yml", "alerts.yml")]
    groups = [group for file in files for group in file["groups"]]
    return {"apiVersion": CUSTOM, "kind": "PrometheusRule", "metadata": {"name": "icr-bridge"}, "spec": {"groups": groups}}


class Manifests:
    """What a kustomization comes to."""

    def __init__(self, kustomize, folder):
        built = subprocess.run([*kustomize, folder], capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        assert not built.stderr, f"kustomize warns: {built.stderr}"
        self.all = list(yaml.safe_load_all(built.stdout))

    def one(self, kind, name="icr-bridge"):
        (found,) = [one for one in self.all if one["kind"] == kind and one["metadata"]["name"] == name]
        return found

    @property
    def pod(self):
        return self.one("StatefulSet")["spec"]["template"]["spec"]

    @property
    def container(self):
        (container,) = self.pod["containers"]
        return container


def check_schemas(manifests, checker):
    """The API's own schemas, strictly: a field that is misspelt is a field that does nothing."""
    for one in manifests.all:
        if one["apiVersion"] != CUSTOM:
            kubernetes_validate.validate(one, "1.37", strict=True)
    custom = [one for one in manifests.all if one["apiVersion"] == CUSTOM]
    assert len(custom) == 2
    checked = subprocess.run([checker], input=json.dumps(custom), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def check_ingress(manifests):
    """deploy/proxy's example leads to the Service that is there, and to deliveries alone."""
    ingress = yaml.safe_load((ROOT / "deploy/proxy/ingress.yaml").read_text())
    kubernetes_validate.validate(ingress, "1.37", strict=True)
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/webhook", "Prefix")
    backend = path["backend"]["service"]
    ports = [port["name"] for port in manifests.one("Service", backend["name"])["spec"]["ports"]]
    assert backend["port"]["name"] in ports, ports
    assert ingress["metadata"]["namespace"] == manifests.one("Namespace")["metadata"]["name"]


def check_replicas(manifests):
    spec = manifests.one("StatefulSet")["spec"]
    assert spec["replicas"] == 2
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in manifests.container["volumeMounts"]}
    environment = {one["name"]: one.get("value") for one in manifests.container["env"]}
    assert environment["ICR_BRIDGE_JOURNAL_DIR"].startswith(mounts[claim["metadata"]["name"]] + "/"), "the journal is on the claim"
    affinity = manifests.pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    labels = spec["template"]["metadata"]["labels"]
    assert all(labels.items() >= term["labelSelector"]["matchLabels"].items() for term in affinity), affinity
    assert "kubernetes.io/hostname" in [term["topologyKey"] for term in affinity]
    budget = manifests.one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    service, network = manifests.one("Service")["spec"]["selector"], manifests.one("NetworkPolicy")["spec"]["podSelector"]
    for selector in (spec["selector"], budget["selector"], {"matchLabels": service}, network):
        assert labels.items() >= selector["matchLabels"].items() and selector["matchLabels"], selector


def check_pod(manifests):
    pod, container = manifests.pod, manifests.container
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    security, own = pod["securityContext"], container["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False and own["capabilities"] == {"drop": ["ALL"]}
    assert own["readOnlyRootFilesystem"] is True
    assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    assert all(set(volume) - {"name"} <= allowed for volume in pod["volumes"])
    namespace = manifests.one("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    # Probes ask the admin listener for what it has.
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    paths = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {probe["port"] for probe in paths.values()} == {"admin"} and ports == {"webhook": 4040, "admin": 4041}
    assert [probe["path"] for probe in paths.values()] == ["/healthz", "/readyz", "/healthz"]


def check_leaving(manifests, bridge):
    """Drained, then told to go, and given the time for both."""
    command = manifests.container["lifecycle"]["preStop"]["exec"]["command"]
    assert command[1:3] == ["drain", "--timeout"], command
    known = subprocess.run([bridge, *command[1:], "--help"], capture_output=True, text=True)
    assert known.returncode == 0, known.stderr
    drain, delay = int(command[3].removesuffix("s")), int(value(manifests, "ICR_BRIDGE_SHUTDOWN_DELAY_SECONDS"))
    assert delay > 0
    assert manifests.pod["terminationGracePeriodSeconds"] >= drain + delay + 15


def check_network(manifests):
    spec = manifests.one("NetworkPolicy")["spec"]
    assert sorted(spec["policyTypes"]) == ["Egress", "Ingress"], "what is not named is closed"
    open_to = {port["port"]: [peer for peer in rule["from"]] for rule in spec["ingress"] for port in rule["ports"]}
    assert set(open_to) == {"webhook", "admin"} and all(open_to.values())
    assert all(rule["to"] for rule in spec["egress"])


def check_secret(manifests):
    """Mounted as a folder, which the kubelet keeps current; and no part of what rolls the replicas."""
    path = pathlib.PurePath(value(manifests, "ICR_BRIDGE_WEBHOOK_SECRET_FILE"))
    mounts = [mount for mount in manifests.container["volumeMounts"] if mount["mountPath"] == str(path.parent)]
    (mount,) = mounts
    assert "subPath" not in mount and mount["readOnly"] is True
    (volume,) = [volume for volume in manifests.pod["volumes"] if volume["name"] == mount["name"]]
    assert "secret" in volume
    assert not [one for one in manifests.all if one["kind"] == "Secret"], "no secret stands in the repository"


def check_monitoring(manifests):
    monitor = manifests.one("ServiceMonitor")["spec"]
    services = [one for one in manifests.all if one["kind"] == "Service"]
    labels = monitor["selector"]["matchLabels"].items()
    (service,) = [one for one in services if one["metadata"]["labels"].items() >= labels]
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert service["metadata"]["labels"][monitor["jobLabel"]].startswith("icr-bridge"), "the job that the alerts look for"
    assert manifests.one("PrometheusRule")["spec"] == rules()["spec"], "deploy/prometheus has changed: kubernetes.py --update"


def value(manifests, name):
    """A variable, as the kubelet resolves it."""
    (variable,) = [one for one in manifests.container["env"] if one["name"] == name]
    source = variable.get("valueFrom", {})
    if "configMapKeyRef" in source:
        reference = source["configMapKeyRef"]
        return manifests.one("ConfigMap", reference["name"])["data"][reference["key"]]
    if "fieldRef" in source:
        assert source["fieldRef"]["fieldPath"] == "metadata.name"
        return "icr-bridge-0"
    return variable["value"]


def mount(manifests, root):
    """Every volume, where the pod has it, but under `root`."""
    for one in manifests.container["volumeMounts"]:
        folder = root / one["mountPath"].lstrip("/")
        folder.mkdir(parents=True)
        for volume in manifests.pod["volumes"]:
            if volume["name"] != one["name"]:
                continue
            if "secret" in volume:
                (folder / "webhook-secret").write_text("a secret of the Kubernetes suite\n")
            for item in volume.get("configMap", {}).get("items", []):
                data = manifests.one("ConfigMap", volume["configMap"]["name"])["data"]
                (folder / item["path"]).write_text(data[item["key"]])


def check_configuration(manifests, bridge):
    """The real binary accepts the environment as it stands, and uses all of it."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        mount(manifests, root)
        places = [one["mountPath"] for one in manifests.container["volumeMounts"]]
        environment = {"PATH": os.environ["PATH"]}
        for name in [one["name"] for one in manifests.container["env"]]:
            said = value(manifests, name)
            inside = any(said.startswith(place + "/") for place in places)
            assert inside or not said.startswith("/"), f"{name}: {said} is on no volume, and the root is read-only"
            environment[name] = f"{root}{said}" if inside else said
        checked = subprocess.run([bridge, "check-config"], env=environment, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "WARN" not in checked.stderr and "warning" not in (checked.stdout + checked.stderr).lower(), checked.stdout + checked.stderr
        for name, said in environment.items():
            if name.startswith("ICR_BRIDGE_"):
                assert name in checked.stdout, f"{name} is no setting: {checked.stdout}"


def main(bridge, checker, kustomize):
    manifests = Manifests(kustomize, FOLDER / "overlays/production")
    check_schemas(manifests, checker)
    check_ingress(manifests)
    check_replicas(manifests)
    check_pod(manifests)
    check_leaving(manifests, bridge)
    check_network(manifests)
    check_secret(manifests)
    check_monitoring(manifests)
    check_configuration(manifests, bridge)
    kinds = ", ".join(sorted(one["kind"] for one in manifests.all))
    print(f"{len(manifests.all)} resources are what they should be: {kinds}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        RULES.write_text(HEAD + yaml.safe_dump(rules(), sort_keys=False, allow_unicode=True, width=150))
    else:
        main(sys.argv[1], sys.argv[2], sys.argv[3:])
