// Package etcdtest starts real etcd servers of exact versions, for tests and for the demo. There are
// no mocks: each version is built from its published module.
package etcdtest

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/etcdsec/etcdsec/internal/oracle"
)

// The releases that this package can start.
const (
	V3_5 = "3.5.35"
	V3_6 = "3.6.16"
	V3_7 = "3.7.3"
	// Vulnerable is the release that kubeadm 1.36 installs. CVE-2026-33413 and others apply to it.
	Vulnerable = "3.6.8"
)

// Versions returns the releases that a cluster may run, oldest first.
func Versions() []string { return []string{V3_5, V3_6, V3_7} }

// modules returns the folders below test/ that pin the releases.
func modules() map[string]string {
	return map[string]string{V3_5: "etcd-3.5", V3_6: "etcd-3.6", V3_7: "etcd-3.7", Vulnerable: "etcd-3.6.8"}
}

// Binary returns the path of the etcd server of a version. It works like oracle.Binary.
func Binary(ctx context.Context, version string, progress io.Writer) (string, error) {
	module, ok := modules()[version]
	if !ok {
		return "", fmt.Errorf("no etcd %q in this repository; the versions are %s", version, strings.Join(Versions(), ", "))
	}
	return oracle.Binary(ctx, module, progress)
}
