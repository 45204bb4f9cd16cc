//go:build tools

// Package tools pins what the local cluster takes from a module's files rather than from its programs.
package tools

import _ "sigs.k8s.io/gateway-api/apis/v1" // config/crd/standard: the Gateway API's CRDs
