package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/goodkey"
)

// InstallConfig tells [InstallBundle] what to install on a node, and where.
type InstallConfig struct {
	Signed string // the bundle's folder, a copy of that in the operator's store
	Keys   string // the folder in which the node made its keys; empty if it is Target
	Target string // the folder from which etcd or the client reads the files
	Now    time.Time
	// Own are the node's addresses. Sources are those from which it reaches the other members,
	// which compare them with the certificate's names. Without Own, nothing is compared.
	Own, Sources []netip.Addr
	// NewTrust allows a root that differs from the one that Target has.
	NewTrust bool
	Owner    *durable.Owner
}

// installation holds the files that a node will have. All are checked, and none is written yet.
type installation struct {
	files  []durable.File
	same   bool // the target already has all of them
	target string
	owner  *durable.Owner
}

// InstallResult lists the files that were installed, or would be.
type InstallResult struct {
	SchemaVersion int      `json:"schema_version"`
	Target        string   `json:"target"`
	DryRun        bool     `json:"dry_run"`
	Changed       bool     `json:"changed"`
	Files         []string `json:"files"` // below Target
	newTrust      bool
}

// InstallBundle installs a signed bundle, or with dryRun only checks that it could. It holds the
// locks of the folders meanwhile; the error is durable.ErrLocked if another process has one. An
// [UnfinishedError] means that it had written something before it failed.
func InstallBundle(b Bundle, config InstallConfig, dryRun bool) (InstallResult, error) {
	result := InstallResult{SchemaVersion: 1, Target: config.Target, DryRun: dryRun, Files: []string{}, newTrust: config.NewTrust}
	if err := CheckOutsideStores(config.Target); err != nil {
		return result, err
	}
	var locks durable.Locks
	defer locks.Release()
	folders := b.foldersBelow(config.Target)
	if err := locks.TakeExisting(folders); err != nil {
		return result, err
	}
	planned, err := planInstall(b, config)
	if err != nil {
		return result, err
	}
	if !dryRun && !planned.same {
		// What is wrong makes no folder, so they are made only now. Another process may have been faster.
		if err := planned.makeFolders(folders); err != nil {
			return result, &UnfinishedError{err}
		}
		if err := locks.TakeExisting(folders); err != nil {
			return result, err
		}
		if planned, err = planInstall(b, config); err != nil {
			return result, err
		}
	}
	result.Changed = !planned.same
	for _, f := range planned.files {
		result.Files = append(result.Files, f.Name)
	}
	if dryRun {
		return result, nil
	}
	if planned.same {
		err = sweepFolders(folders)
	} else {
		err = planned.install()
	}
	if err != nil {
		return result, &UnfinishedError{err}
	}
	return result, nil
}

// sweepFolders removes the old keys that killed installs left.
func sweepFolders(folders []string) error {
	for _, dir := range folders {
		if err := durable.SweepProjected(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing what a killed install left in %s: %w", dir, err)
		}
	}
	return nil
}

// foldersBelow returns the folders below dir into which a bundle's files belong, each before those in it.
func (b Bundle) foldersBelow(dir string) []string {
	folders := []string{filepath.Clean(dir)}
	add := func(name string) {
		if folder := filepath.Join(dir, filepath.FromSlash(path.Dir(name))); !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	for _, t := range b.Trust {
		add(t.Name)
	}
	for _, l := range b.Leaves {
		add(l.CertFile)
		add(l.KeyFile)
	}
	for _, f := range b.CRLs {
		add(f.Name)
	}
	slices.Sort(folders)
	return folders
}

// planInstall checks a signed bundle against the node's keys, roots and addresses. Its error joins
// all faults. The caller holds the locks of the folders.
func planInstall(b Bundle, config InstallConfig) (*installation, error) {
	in := &installation{same: true, target: config.Target, owner: config.Owner}
	var faults []error
	for _, t := range b.Trust {
		faults = append(faults, in.addTrust(t, config))
	}
	for _, l := range b.Leaves {
		if err := in.addLeaf(l, b, config); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", l.Name, err))
		}
	}
	if at := slices.IndexFunc(b.Leaves, func(l Leaf) bool { return !l.Names.isEmpty() }); at >= 0 && config.Own != nil {
		names := b.Leaves[at].Names.filter(func(_, name string) bool { return !slices.Contains(b.shared, name) })
		faults = append(faults, checkOwnAddresses(names, config.Own, config.Sources))
	}
	faults = append(faults, in.addLists(b, config))
	return in, errors.Join(faults...)
}

func (in *installation) add(f durable.File) {
	there, _, err := durable.ReadGuarded(filepath.Join(in.target, filepath.FromSlash(f.Name)), maxPEMSize)
	in.same = in.same && err == nil && bytes.Equal(there, f.Data)
	in.files = append(in.files, f)
}

// addTrust adds a root's file, if the node has the same root or none.
func (in *installation) addTrust(t TrustFile, config InstallConfig) error {
	from := filepath.Join(config.Signed, filepath.FromSlash(t.Name))
	certs, err := readGuarded(from, ParseTrust)
	if err != nil {
		return err
	}
	at := filepath.Join(config.Target, filepath.FromSlash(t.Name))
	there, err := readGuarded(at, ParseTrust)
	missing := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return !slices.ContainsFunc(there, c.Equal) })
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case missing >= 0 && !config.NewTrust:
		return fmt.Errorf("%s has another root, %q, and lacks %q; if it changes, the node must be restarted, and its peers must trust the new root", at, nameOf(there[0]), nameOf(certs[missing]))
	case !config.NewTrust:
		return nil // what is there has these roots, and perhaps one more of a rotation
	}
	in.add(durable.File{Name: t.Name, Mode: 0o644, Data: encodeCertificates(certs...)})
	return nil
}

func (in *installation) addLeaf(l Leaf, b Bundle, config InstallConfig) error {
	certPath := filepath.Join(config.Signed, filepath.FromSlash(l.CertFile))
	chain, err := readGuarded(certPath, ParseCertificates)
	if err != nil {
		return err
	}
	keys := config.Keys
	if keys == "" {
		keys = config.Target
	}
	keyPath := filepath.Join(keys, filepath.FromSlash(l.KeyFile))
	key, keyPEM, err := readKeyPEM(keyPath, durable.ReadGuarded)
	if err != nil {
		return err
	}
	trust := slices.IndexFunc(b.Trust, func(t TrustFile) bool { return t.Root == l.Root })
	roots, err := readGuarded(filepath.Join(config.Signed, filepath.FromSlash(b.Trust[trust].Name)), ParseTrust)
	if err != nil {
		return err
	}
	keyFault := goodkey.CheckEncoded(chain[0].PublicKey, chain[0].RawSubjectPublicKeyInfo)
	if there, err := readGuarded(filepath.Join(config.Target, filepath.FromSlash(l.CertFile)), ParseCertificates); err == nil {
		// An imported certificate has names that the spec, and so this node, does not know.
		l = l.keep(chain[0], identityOf(there[0]))
		if samePublicKey(there[0].PublicKey, chain[0].PublicKey) {
			keyFault = nil // it is no worse than before
		}
	}
	if keyFault != nil {
		return fmt.Errorf("%s: %w", certPath, keyFault)
	}
	if err := errors.Join(verifyLeaf(l, chain, roots, key.Public(), config.Now)...); err != nil {
		return fmt.Errorf("%s, with the key %s: %w", certPath, keyPath, err)
	}
	if l.CertFile == l.KeyFile {
		in.add(durable.File{Name: l.CertFile, Mode: 0o600, Data: l.joinFiles(encodeCertificates(chain...), key)})
		return nil
	}
	in.add(durable.File{Name: l.CertFile, Mode: 0o644, Data: encodeCertificates(chain...)})
	in.add(durable.File{Name: l.KeyFile, Mode: 0o600, Data: keyPEM})
	return nil
}

// checkOwnAddresses checks that the names belong to this node. etcd refuses a peer whose certificate
// does not name the address from which it connects (checkCertSAN in etcd's
// client/pkg/transport/listener_tls.go).
func checkOwnAddresses(names Names, own, sources []netip.Addr) error {
	var named []netip.Addr
	for _, ip := range names.IPs {
		if !ip.IsLoopback() {
			named = append(named, ip)
		}
	}
	var faults []error
	if len(named) > 0 && !slices.ContainsFunc(named, func(ip netip.Addr) bool { return slices.Contains(own, ip) }) {
		faults = append(faults, fmt.Errorf("the certificates name %v, but this node has %v: do they belong to another node?", named, own))
	}
	for _, ip := range sources {
		if len(named) > 0 && !slices.Contains(names.IPs, ip) {
			faults = append(faults, fmt.Errorf("this node reaches the other members from %s, which its certificates do not name, so they would refuse it; add the address to the spec", ip))
		}
	}
	return errors.Join(faults...)
}

// makeFolders makes the folders that do not exist.
func (in *installation) makeFolders(folders []string) error {
	for _, dir := range folders {
		owner := in.owner
		if owner == nil && dir == filepath.Clean(in.target) {
			owner = durable.Process()
		}
		if err := durable.MakeDirs(dir, owner); err != nil {
			return err
		}
	}
	return nil
}

// install writes the files. All files of a folder change at once.
func (in *installation) install() error {
	var folders []string
	for _, f := range in.files {
		if dir := path.Dir(f.Name); !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	for _, folder := range folders {
		var files []durable.File
		for _, f := range in.files {
			if path.Dir(f.Name) == folder {
				f.Name = path.Base(f.Name)
				files = append(files, f)
			}
		}
		if err := durable.ProjectFiles(filepath.Join(in.target, filepath.FromSlash(folder)), files, in.owner); err != nil {
			return err
		}
	}
	return nil
}

// NodeAddresses returns this machine's addresses, and those from which it reaches the other
// members. It connects UDP sockets to learn which source the kernel picks; this sends nothing.
func NodeAddresses(c *cluster.Cluster, member string) (own, sources []netip.Addr, err error) {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, nil, fmt.Errorf("reading this node's addresses: %w", err)
	}
	for _, i := range interfaces {
		if prefix, err := netip.ParsePrefix(i.String()); err == nil {
			own = append(own, prefix.Addr().Unmap().WithZone(""))
		}
	}
	for _, m := range c.Etcd.Members {
		to := m.Advertised().IP
		if m.Name == member || !to.IsValid() || to.IsLoopback() {
			continue
		}
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, c.Etcd.PeerPort)))
		if err != nil {
			continue // no route to it now: nothing can be told
		}
		if local, ok := conn.LocalAddr().(*net.UDPAddr); ok {
			if from := local.AddrPort().Addr().Unmap().WithZone(""); !slices.Contains(sources, from) {
				sources = append(sources, from)
			}
		}
		_ = conn.Close() // nothing was sent
	}
	return own, sources, nil
}
