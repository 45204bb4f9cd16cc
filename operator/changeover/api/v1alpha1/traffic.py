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


class PathMatch(Model):
    """A path."""

    type: Literal["PathPrefix", "Exact"] = described(
        "PathPrefix (the path and all below it) or Exact. Default: PathPrefix.", default="PathPrefix"
    )
    value: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=1024)] = described(
        "The path. Default: /. Example: /items.", default="/"
    )


class HeaderMatch(Model):
    """A header with this very value."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9-]+$")] = described(
        "Header. Example: X-Canary."
    )
    value: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[ -~]+$")] = described(
        "Its value, the whole of it. Example: always."
    )


class CookieMatch(Model):
    """A cookie with this very value."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")] = described(
        "Cookie. Example: canary."
    )
    value: Annotated[str, Field(max_length=1024, pattern=r"^[!#-+./-:<-\[\]-~-]*$")] = described(
        "Its value, the whole of it. Example: always."
    )


class RouteMatch(Model):
    """Which requests the route takes: those for which all of this holds."""

    path: PathMatch = described("Path. Default: all paths. Example: {value: /items}.", default=PathMatch())
    method: Literal["", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] = described(
        "HTTP method. Default: empty (any).", default=""
    )
    headers: Annotated[list[HeaderMatch], Field(max_length=8)] = described(
        "Headers that must all be there. Default: none. Example: [{name: X-Shop, value: eu}].", default=[]
    )


class Testers(Model):
    """Whose requests all go to the canary while the migration is under way: those with any one of these."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="size(self.headers) + size(self.cookies) > 0",
            message="match without a header or cookie matches nobody; set headers or cookies, or leave match out",
        ),
    )
    headers: Annotated[list[HeaderMatch], Field(max_length=4)] = described(
        "Headers, any one of which is enough. Default: none. Example: [{name: X-Canary, value: always}].", default=[]
    )
    cookies: Annotated[list[CookieMatch], Field(max_length=4)] = described(
        "Cookies, any one of which is enough. Default: none. Example: [{name: canary, value: always}].", default=[]
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.headers and not self.cookies:
            raise ValueError(self.cel[0].message)
        return self


class GatewayAPITraffic(Model):
    """Traffic through the Kubernetes Gateway API."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.mode == 'Adopted' || size(self.parentRefs) > 0",
            message="a Managed route needs a Gateway; set at least one of parentRefs, or mode Adopted",
        ),
        Rule(
            rule="self.mode == 'Managed' || size(self.parentRefs) + size(self.hostnames) + size(self.matches) == 0",
            message="an Adopted route has its own parentRefs, hostnames and matches; leave them out here",
        ),
        # Of an edit alone, so the API server's alone: pydantic sees one spec at a time.
        Rule(
            rule="self.route.name == oldSelf.route.name",
            message="route.name cannot be changed, since the route of before would keep its weights and nobody would "
            "watch them; delete this CanaryMigration, which gives its route back, and make another",
        ),
    )
    mode: Literal["Managed", "Adopted"] = described(
        "Managed (the operator makes the route and owns all of it) or Adopted (the route is there already and stays "
        "yours; only the weights of stable and canary in it are set). Default: Managed.",
        default="Managed",
    )
    route: RouteRef = described("The route to make, or to adopt; it cannot be changed later. Example: {name: shop}.")
    parent_refs: Annotated[list[ParentRef], Field(max_length=8)] = described(
        "Gateways of a Managed route, at least one. Default: none. Example: [{name: public, namespace: gateway}].",
        default=[],
    )
    hostnames: Annotated[
        list[Annotated[str, Field(max_length=253, pattern=r"^(\*\.)?" + DNS_NAME[1:])]], Field(max_length=16)
    ] = described("Host names of a Managed route. Default: none (all). Example: [shop.example.com].", default=[])
    matches: Annotated[list[RouteMatch], Field(max_length=8)] = described(
        "Requests that a Managed route takes: those that match any of these. Default: none (all). "
        "Example: [{path: {value: /items}}].",
        default=[],
    )

    @model_validator(mode="after")
    def _owned_or_adopted(self) -> Self:
        if self.mode == "Managed" and not self.parent_refs:
            raise ValueError(self.cel[0].message)
        if self.mode == "Adopted" and (self.parent_refs or self.hostnames or self.matches):
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
