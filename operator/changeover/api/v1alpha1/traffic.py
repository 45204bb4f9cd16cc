"""How a migration's traffic is split: the provider and its route."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from changeover.api.v1alpha1.base import DNS_NAME, Model, ObjectName, described


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

    mode: Literal["Managed"] = described(
        "Managed: the operator makes the route and owns all of it. Default: Managed.", default="Managed"
    )
    route: RouteRef = described("The route to make. Example: {name: shop}.")
    parent_refs: Annotated[list[ParentRef], Field(min_length=1, max_length=8)] = described(
        "Gateways of the route. Example: [{name: public, namespace: gateway}]."
    )
    hostnames: Annotated[
        list[Annotated[str, Field(max_length=253, pattern=r"^(\*\.)?" + DNS_NAME[1:])]], Field(max_length=16)
    ] = described("Host names of the route. Default: none (all). Example: [shop.example.com].", default=[])


class Traffic(Model):
    """How traffic is split."""

    union: ClassVar[tuple[str, ...]] = ("gatewayAPI",)
    type: Literal["GatewayAPI"] = described("Provider. Default: GatewayAPI.", default="GatewayAPI")
    gateway_api: GatewayAPITraffic | None = described(
        "For type GatewayAPI. Example: {route: {name: shop}, parentRefs: [{name: public}]}.",
        default=None,
        alias="gatewayAPI",
    )
