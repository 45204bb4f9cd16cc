"""How a migration's traffic is split: the provider and its route."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from changeover.api.v1alpha1.base import DNS_NAME, Model, ObjectName, Rule, described


class RouteRef(Model):
    """The HTTPRoute that carries the weights."""

    name: ObjectName = described("Name of the HTTPRoute. Example: shop.")


class ParentRef(Model):
    """A Gateway that the route attaches to."""

    name: ObjectName = described("Name of the Gateway. Example: public.")
    namespace: Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")] = described(
        "Namespace of the Gateway. Default: empty (the migration's). Example: gateway.", default=""
    )


class GatewayAPITraffic(Model):
    """Traffic through the Kubernetes Gateway API."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.mode == 'Adopted' || size(self.parentRefs) > 0",
            message="a Managed route needs a Gateway; set at least one of parentRefs, or mode Adopted",
        ),
        Rule(
            rule="self.mode == 'Managed' || (size(self.parentRefs) == 0 && size(self.hostnames) == 0)",
            message="an Adopted route has its own parentRefs and hostnames; leave both out here",
        ),
    )
    mode: Literal["Managed", "Adopted"] = described(
        "Managed (the operator makes the route and owns all of it) or Adopted (the route is there already and stays "
        "yours; only the weights of stable and canary in it are set). Default: Managed.",
        default="Managed",
    )
    route: RouteRef = described("The route to make, or to adopt. Example: {name: shop}.")
    parent_refs: Annotated[list[ParentRef], Field(max_length=8)] = described(
        "Gateways of a Managed route, at least one. Default: none. Example: [{name: public, namespace: gateway}].",
        default=[],
    )
    hostnames: Annotated[
        list[Annotated[str, Field(max_length=253, pattern=r"^(\*\.)?" + DNS_NAME[1:])]], Field(max_length=16)
    ] = described("Host names of a Managed route. Default: none (all). Example: [shop.example.com].", default=[])

    @model_validator(mode="after")
    def _owned_or_adopted(self) -> Self:
        if self.mode == "Managed" and not self.parent_refs:
            raise ValueError(self.cel[0].message)
        if self.mode == "Adopted" and (self.parent_refs or self.hostnames):
            raise ValueError(self.cel[1].message)
        return self


class Traffic(Model):
    """How traffic is split."""

    union: ClassVar[tuple[str, ...]] = ("gatewayAPI",)
    type: Literal["GatewayAPI"] = described("Provider. Default: GatewayAPI.", default="GatewayAPI")
    gateway_api: GatewayAPITraffic | None = described(
        "For type GatewayAPI. Example: {route: {name: shop}, parentRefs: [{name: public}]}.",
        default=None,
        alias="gatewayAPI",
    )
