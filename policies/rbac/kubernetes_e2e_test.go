//go:build e2e

package rbac

import (
	"testing"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// The same on the other branches of etcd; `go test` does the one in the middle.
func TestKubernetesUnderRBACOfOtherReleases(t *testing.T) {
	for _, version := range []string{etcdtest.V3_5, etcdtest.V3_7} {
		t.Run(version, func(t *testing.T) { kubernetesUnderRBAC(t, version) })
	}
}
