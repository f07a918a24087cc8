package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
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

// AfterBootstrap tells what a new store still needs: the keys of the roots encrypted, the encryption
// configuration that the spec asks for, and the bundles of members on their nodes.
func AfterBootstrap(c *cluster.Cluster, r Result) []string {
	var next []string
	dir := shellword.Path(r.Dir)
	if hasPlainRootKey(c, r.Dir) {
		next = append(next, "encrypt the keys of the roots to your own recipient, or move them off this machine: etcdsec pki renew "+dir+" --root-key-recipient age1…")
	}
	if lacksEncryptionConfig(c, r.Dir) {
		next = append(next, "make the encryption configuration of kube-apiserver: etcdsec encryption generate "+dir)
	}
	return append(next, copies(r, func(path string) string {
		if strings.HasPrefix(path, nodesFolder+"/") {
			return destination(c, path)
		}
		return "" // for API servers see ForAPIServers; the others are the business of their users
	})...)
}

// hasPlainRootKey reports whether a root's key is in the store in plain text.
func hasPlainRootKey(c *cluster.Cluster, dir string) bool {
	return slices.ContainsFunc(NewPlan(c).Authorities, func(a Authority) bool {
		_, err := os.Lstat(filepath.Join(dir, a.Path(), caKeyName))
		return a.isRoot() && err == nil
	})
}

// lacksEncryptionConfig reports whether the spec has an encryption of stored objects, and the store no
// configuration of it.
func lacksEncryptionConfig(c *cluster.Cluster, dir string) bool {
	if c.Encryption.Provider == "" {
		return false
	}
	_, err := os.Lstat(filepath.Join(dir, KubernetesDir, "encryption-config.yaml"))
	return errors.Is(err, fs.ErrNotExist)
}

// ForAPIServers tells where the bundle of kube-apiserver goes, and the flags that name its files, if the run
// issued or renewed its certificate.
func ForAPIServers(c *cluster.Cluster, r Result) []string {
	for _, b := range NewPlan(c).Bundles {
		at := slices.IndexFunc(b.Leaves, func(l Leaf) bool { return l.Role == string(cluster.RoleKubernetes) })
		if at < 0 || !slices.Contains(changedBundles(r), b.Path) || len(b.Trust) == 0 {
			continue
		}
		leaf := b.Leaves[at]
		var servers []string
		for _, m := range c.Etcd.Members {
			servers = append(servers, "https://"+net.JoinHostPort(m.Advertised().String(), strconv.Itoa(int(c.Etcd.ClientPort))))
		}
		const to = "/etc/kubernetes/pki/etcd-client"
		return []string{fmt.Sprintf("copy %s to %s on the node of each API server, and start kube-apiserver with --etcd-servers=%s --etcd-cafile=%s --etcd-certfile=%s --etcd-keyfile=%s",
			filepath.Join(r.Dir, b.Path), to, strings.Join(servers, ","), path.Join(to, b.Trust[0].Name), path.Join(to, leaf.CertFile), path.Join(to, leaf.KeyFile))}
	}
	return nil
}

// changedBundles returns the paths of the bundles with certificates that a run issued or renewed.
func changedBundles(r Result) []string {
	var changed []string
	for _, s := range r.Steps {
		bundle := strings.HasPrefix(s.Path, "nodes/") || strings.HasPrefix(s.Path, "clients/")
		if bundle && (s.Action == ActionRenew || s.Action == ActionIssue) && !slices.Contains(changed, s.Path) {
			changed = append(changed, s.Path)
		}
	}
	return changed
}

// copies tells to copy the bundles that changed, at most ten of them, each to its place; one without a
// place is left out.
func copies(r Result, place func(bundle string) string) []string {
	const most = 10
	var lines []string
	more := 0
	for _, path := range changedBundles(r) {
		switch to := place(path); {
		case to == "":
		case len(lines) == most:
			more++
		default:
			lines = append(lines, "copy "+filepath.Join(r.Dir, path)+" to "+to)
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("copy %d more bundles in the same way", more))
	}
	return lines
}

// AfterRenewal tells where to copy the bundles that changed. It lists at most ten of them. For a member
// whose address changed, it tells in which order the certificates, the configuration and the cluster
// learn it.
func AfterRenewal(c *cluster.Cluster, r Result) []string {
	changed := changedBundles(r)
	var next []string
	for _, v := range r.moves {
		if warning := v.warn(r.Dir); warning != "" {
			next = append(next, warning)
		}
	}
	next = append(next, copies(r, func(path string) string { return destination(c, path) })...)
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
