"""A candidate backend and where it may run: what a benchmark and a migration to its winner share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import (
    CandidateName,
    LabelKey,
    Labels,
    Model,
    ObjectName,
    Port,
    Quantity,
    Rule,
    ShortText,
    Text,
    described,
    refuse_doubles,
    unique_by,
)  # fmt: skip


class EnvVar(Model):
    """One environment variable of a candidate."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = described(
        "Name of the variable. Example: WORKERS."
    )
    value: Text = described("Value; with templateFrom taken literally. Default: empty. Example: '1'.", default="")


class ResourceAmounts(Model):
    """CPU and memory."""

    cpu: Quantity | None = described("CPU in cores, a Kubernetes quantity. Default: none. Example: 400m.", default=None)
    memory: Quantity | None = described(
        "Memory in bytes, a Kubernetes quantity. Default: none. Example: 256Mi.", default=None
    )


class Resources(Model):
    """Requests and limits of one candidate container."""

    requests: ResourceAmounts = described(
        "What the scheduler reserves. Default: none. Example: {cpu: 400m, memory: 256Mi}.",
        default=ResourceAmounts(),
    )
    limits: ResourceAmounts = described(
        "What the candidate may use at most; with it, the limit is the identical hardware. Default: none. "
        "Example: {cpu: 400m, memory: 256Mi}.",
        default=ResourceAmounts(),
    )


class DeploymentRef(Model):
    """A Deployment in the same namespace."""

    name: ObjectName = described("Name of the Deployment. Example: shop.")


class TemplateFrom(Model):
    """What a candidate is a copy of."""

    deployment_ref: DeploymentRef = described(
        "Deployment whose pod template is copied, as it stands when the benchmark looks; a change of it is a new run. "
        "Service account, host access and node names are not copied. Example: {name: shop}."
    )


class Candidate(Model):
    """One backend to measure; it becomes one Deployment and one Service while it is measured."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="(self.image != '') != has(self.templateFrom)",
            message="set exactly one of image and templateFrom",
        ),
        Rule(
            rule="!has(self.templateFrom) || (self.command.size() == 0 && self.args.size() == 0)",
            message="command and args belong to image; a copied template keeps its own, so leave them out",
        ),
    )
    name: CandidateName = described("Name of the candidate, unique here. Example: hyperlane.")
    image: Annotated[str, Field(max_length=512)] = described(
        "Container image. Default: empty (templateFrom says it). Example: localhost/changeover-hyperlane:1.", default=""
    )
    template_from: TemplateFrom | None = described(
        "Instead of image: a Deployment's pod template, copied. Default: none. Example: {deploymentRef: {name: shop}}.",
        default=None,
    )
    command: Annotated[list[Text], Field(max_length=32)] = described(
        "Replaces the image's entry point. Default: empty (the image's own). Example: [/server].", default=[]
    )
    args: Annotated[list[Text], Field(max_length=32)] = described(
        "Replaces the image's arguments. Default: empty (the image's own). Example: [--quiet].", default=[]
    )
    env: Annotated[list[EnvVar], Field(max_length=64)] = described(
        "Environment variables. Default: none. Example: [{name: WORKERS, value: '1'}].",
        default=[],
        json_schema_extra=unique_by("name"),
    )
    port: Port = described("TCP port that the container listens on. Default: 8080.", default=8080)
    readiness_path: Annotated[str, Field(pattern=r"^/", max_length=256)] = described(
        "HTTP path that answers 2xx or 3xx when the candidate is ready. Default: /.", default="/"
    )
    resources: Resources = described(
        "CPU and memory of the container. Default: none. Example: {limits: {cpu: 400m}}.", default=Resources()
    )
    language: ShortText = described("Programming language, for tables. Default: empty. Example: Rust.", default="")
    framework: ShortText = described("Framework, for tables. Default: empty. Example: hyperlane.", default="")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_doubles(self.env, lambda v: v.name, "env variable")
        if bool(self.image) == (self.template_from is not None):
            raise ValueError(self.cel[0].message)
        if self.template_from is not None and (self.command or self.args):
            raise ValueError(self.cel[1].message)
        return self


class Toleration(Model):
    """A taint that the pods accept."""

    key: LabelKey = described("Key of the taint. Default: empty (any, with operator Exists).", default="")
    operator: Literal["Exists", "Equal"] = described(
        "How key and value are matched. Default: Exists.", default="Exists"
    )
    value: Annotated[str, Field(max_length=63)] = described("Value, for Equal. Default: empty.", default="")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = described(
        "Effect of the taint. Default: NoSchedule.", default="NoSchedule"
    )


class NodeChoice(Model):
    """Which nodes pods may run on."""

    node_selector: Labels = described(
        "Labels that the node must have. Default: none. Example: {changeover.dev/role: candidate}.",
        default={},
    )
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = described(
        "Taints that the pods accept; pods that accept that of the control plane are kept off its nodes all the same. "
        "Default: none. Example: [{key: changeover.dev/role}].",
        default=[],
    )


class Placement(Model):
    """Where candidates and load run; the load never runs on a candidate's node."""

    candidates: NodeChoice = described(
        "Nodes for candidates; one candidate at a time, all on the node that the first one got. "
        "Default: any node. Example: {nodeSelector: {changeover.dev/role: candidate}}.",
        default=NodeChoice(),
    )
    load: NodeChoice = described(
        "Nodes for the load generator. Default: any node but the candidate's. "
        "Example: {nodeSelector: {changeover.dev/role: load}}.",
        default=NodeChoice(),
    )
