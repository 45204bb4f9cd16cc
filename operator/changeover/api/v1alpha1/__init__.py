"""changeover.dev/v1alpha1: the resources, field by field."""

from changeover.api.v1alpha1.benchmark import BenchmarkSpec
from changeover.api.v1alpha1.benchmark_status import BenchmarkStatus
from changeover.api.v1alpha1.migration import MigrationSpec
from changeover.api.v1alpha1.migration_status import MigrationStatus

GROUP = "changeover.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "BenchmarkSpec",
    "BenchmarkStatus",
    "MigrationSpec",
    "MigrationStatus",
]
