package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// memberPath returns the path of a member's bundle in the store.
func memberPath(m cluster.Member) string { return nodesFolder + "/" + m.Name + "/pki" }

// destination returns the place to which a bundle of the store must be copied.
func destination(c *cluster.Cluster, bundle string) string {
	for _, m := range c.Etcd.Members {
		if bundle == memberPath(m) {
			return fmt.Sprintf("%s on %s (%s)", c.Etcd.PKIDir(m), m.Name, m.Advertised())
		}
	}
	return "where its client reads it"
}

// InstallTarget returns the folder on a node from which the member reads a bundle. It is empty for
// the bundle of a client.
func InstallTarget(c *cluster.Cluster, b Bundle) string {
	for _, m := range c.Etcd.Members {
		if b.Path == memberPath(m) {
			return c.Etcd.PKIDir(m)
		}
	}
	return ""
}

// CheckInstallTarget is [CheckOutsideStores] for the folder from which the member reads a bundle, on this
// machine.
func CheckInstallTarget(c *cluster.Cluster, b Bundle) error {
	target := InstallTarget(c, b)
	if target == "" {
		return nil
	}
	return CheckOutsideStores(target)
}

// AfterBootstrap names the command that makes the encryption configuration, if the spec has one and the
// store does not.
func AfterBootstrap(c *cluster.Cluster, r Result) []string {
	if c.Encryption.Provider == "" {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(r.Dir, KubernetesDir, "encryption-config.yaml")); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return []string{"make the encryption configuration of kube-apiserver: etcdsec encryption generate " + shellword.Path(r.Dir)}
}

// AfterRenewal tells where to copy the bundles that changed. It lists at most ten of them. For a member
// whose address changed, it tells in which order the certificates, the configuration and the cluster
// learn it.
func AfterRenewal(c *cluster.Cluster, r Result) []string {
	const most = 10
	var changed, next []string
	for _, s := range r.Steps {
		bundle := strings.HasPrefix(s.Path, "nodes/") || strings.HasPrefix(s.Path, "clients/")
		if bundle && (s.Action == ActionRenew || s.Action == ActionIssue) && (len(changed) == 0 || changed[len(changed)-1] != s.Path) {
			changed = append(changed, s.Path)
		}
	}
	for _, v := range r.moves {
		if warning := v.warn(r.Dir); warning != "" {
			next = append(next, warning)
		}
	}
	for i, path := range changed {
		if i == most {
			next = append(next, fmt.Sprintf("copy %d more bundles in the same way", len(changed)-most))
			break
		}
		next = append(next, "copy "+filepath.Join(r.Dir, path)+" to "+destination(c, path))
	}
	moved := slices.DeleteFunc(slices.Clone(r.moves), func(v move) bool { return !v.moved })
	switch {
	case len(moved) > 0:
		next = append(next, "restart nothing for the certificates: etcd and kube-apiserver read leaves anew at every handshake")
		if len(moved) > 1 {
			next = append(next, "move one member at a time, and wait until it is healthy")
		}
		for _, v := range moved {
			next = append(next, v.steps(c, r.Dir)...)
		}
	case len(changed) > 0:
		next = append(next, "restart nothing: etcd and kube-apiserver read leaves anew at every handshake")
	}
	return append(next, remediesOf(r)...)
}

// remediesOf lists what a person has to do about authorities that are due, each thing once.
func remediesOf(r Result) []string {
	var lines []string
	for _, s := range r.Steps {
		if s.Remedy == nil {
			continue
		}
		if line := s.Remedy.String(); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// AfterRecovery tells in which order to bring back a cluster whose certificates have all expired:
// first a quorum of members, then what depends on them. Members that still run serve only their open
// connections. They need no restart unless a root changed.
func AfterRecovery(c *cluster.Cluster, r Result) []string {
	isRoot := func(s Step) bool {
		return s.Action == ActionRenew && s.Role == RoleCA && (s.Name == ClientRoot || s.Name == PeerRoot)
	}
	rootRenewed := slices.ContainsFunc(r.Steps, isRoot)
	rootExpired := slices.ContainsFunc(r.Steps, func(s Step) bool { return isRoot(s) && s.expired })
	var next []string
	for _, m := range c.Etcd.Members {
		next = append(next, fmt.Sprintf("copy %s to %s", filepath.Join(r.Dir, memberPath(m)), destination(c, memberPath(m))))
	}
	start := "start etcd on all members at once: they serve only after a quorum of them has started"
	switch {
	case rootExpired:
		start = "stop and start etcd on all members at once: a root has a new certificate, which etcd reads only at its start"
	case rootRenewed:
		// Its key and name are as before, so what is below either of its certificates is good for who has the other.
		start = "restart the members that run one by one: a root has a new certificate, which etcd reads only at its start, and the one before is valid still"
	}
	next = append(next, start)
	if len(c.Etcd.Members) > 0 {
		m := c.Etcd.Members[0]
		next = append(next, fmt.Sprintf("check them: etcdsec audit run --pki %s https://%s:%d", shellword.Path(r.Dir), m.Advertised(), c.Etcd.ClientPort))
	}
	apiServers := "copy clients/kube-apiserver to the API servers"
	if c.PKI.Layout != cluster.LayoutEtcdsec {
		apiServers = "give the API servers the client certificates in their nodes' bundles"
	}
	if rootRenewed {
		apiServers += ", and restart each kube-apiserver: it reads --etcd-cafile only at its start"
	} else {
		apiServers += "; a running kube-apiserver loads them by itself"
	}
	next = append(next, apiServers, "copy the other folders below clients/ to their holders: backups, monitoring")
	return append(next, remediesOf(r)...)
}

// replaceBanned tells how to replace what may not stay in use after a revocation.
func replaceBanned(c *cluster.Cluster, dir string, banned []string) []string {
	const most = 10
	if len(banned) == 0 {
		return nil
	}
	names := strings.Join(banned[:min(len(banned), most)], ", ")
	if more := len(banned) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	use := "still in use"
	if c.PKI.CRL {
		use += ", and refused as soon as members have the new lists"
	}
	return []string{fmt.Sprintf("%s: %s; make new ones first, with new keys: etcdsec pki renew %s", names, use, shellword.Path(dir))}
}

// afterRevocation tells how to put a revocation into force. obstacle tells why no list can be signed; it is
// empty if that is possible.
func afterRevocation(c *cluster.Cluster, dir, obstacle string) []string {
	var next []string
	switch {
	case c.PKI.CRL:
		for _, m := range c.Etcd.Members {
			next = append(next, fmt.Sprintf("copy %s to %s: it has the new lists, which etcd reads at the next handshake", filepath.Join(dir, memberPath(m)), destination(c, memberPath(m))))
		}
	case obstacle != "":
		next = append(next, "nobody is shut out: "+obstacle)
	default:
		next = append(next, "nobody is shut out yet: members read a revocation list only with spec.pki.crl: true, etcdsec bootstrap, and a restart with the new configuration")
	}
	return append(next,
		"restart the members one by one if a connection may be open: etcd does not close it",
		"if a key was stolen, make sure that nothing else trusts it: clients of etcd check no list")
}
