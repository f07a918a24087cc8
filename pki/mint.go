package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// Minted holds certificates of a store's own authorities that a member must refuse. They exist only
// in memory, and the ledger does not have them: each has a fault that makes it useless to a thief.
// Revoked is nil if all revoked certificates have expired.
type Minted struct {
	Expired     tls.Certificate
	ServersOnly tls.Certificate
	Revoked     *tls.Certificate
	Elsewhere   tls.Certificate // a member's, for 192.0.2.1, which no machine has (RFC 5737)
}

// mintedLifetime is the lifetime of minted certificates that have not expired: an audit takes
// minutes.
const mintedLifetime = 10 * time.Minute

// Mint makes certificates with one fault each, signed by the keys of the store in dir. It takes no
// lock and writes nothing.
func Mint(dir string, now time.Time) (Minted, error) {
	c, err := cluster.Load(filepath.Join(dir, SpecName))
	if err != nil {
		return Minted{}, err
	}
	plan := NewPlan(c)
	clients, err := borrowAuthority(dir, plan, LeafID{Client: string(cluster.RoleAuditor)})
	if err != nil {
		return Minted{}, err
	}
	role := RolePeer
	if files := c.Files(c.Etcd.Members[0]); files.Peer == files.Server {
		role = RoleServer
	}
	peers, err := borrowAuthority(dir, plan, LeafID{Member: c.Etcd.Members[0].Name, Role: role})
	if err != nil {
		return Minted{}, err
	}
	var m Minted
	clientEKU := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	soon := now.Add(mintedLifetime)
	if m.Expired, err = clients.Leaf(throwaway.Leaf{CommonName: auditName, EKUs: clientEKU, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-24 * time.Hour)}); err != nil {
		return Minted{}, err
	}
	if m.ServersOnly, err = clients.Leaf(throwaway.Leaf{CommonName: auditName, EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: now.Add(-backdate), NotAfter: soon}); err != nil {
		return Minted{}, err
	}
	elsewhere := throwaway.Leaf{CommonName: auditName, EKUs: append(clientEKU, x509.ExtKeyUsageServerAuth), IPs: []net.IP{net.IPv4(192, 0, 2, 1)}, NotBefore: now.Add(-backdate), NotAfter: soon}
	if m.Elsewhere, err = peers.Leaf(elsewhere); err != nil {
		return Minted{}, err
	}
	serial, err := revokedClient(dir, now)
	if err != nil || serial == nil {
		return m, err
	}
	revoked, err := clients.Leaf(throwaway.Leaf{CommonName: auditName, EKUs: clientEKU, NotBefore: now.Add(-backdate), NotAfter: soon, Serial: serial})
	m.Revoked = &revoked
	return m, err
}

// auditName is the CN of the certificates that Mint makes, so that the log of a member tells where
// they come from.
const auditName = "etcdsec-audit"

// borrowAuthority returns the authority that signs a leaf of the plan, with its key.
func borrowAuthority(dir string, plan Plan, leaf LeafID) (*throwaway.CA, error) {
	_, leaves, found := plan.Find(leaf.String())
	if !found {
		return nil, fmt.Errorf("minting a certificate to present: the spec of the store has no %s", leaf)
	}
	var certs []*x509.Certificate
	for _, name := range append([]string{leaves[0].Issuer}, plan.issuersAbove(leaves[0])...) {
		read, err := ReadCertificates(filepath.Join(dir, filepath.FromSlash(plan.authority(name).Path()), caCertName))
		if err != nil {
			return nil, fmt.Errorf("minting a certificate to present: %w", err)
		}
		certs = append(certs, read[0])
	}
	issuer := plan.authority(leaves[0].Issuer)
	key, err := readCAKey(filepath.Join(dir, filepath.FromSlash(issuer.Path()), caKeyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("minting a certificate to present: the key of %s is not in the store: %w", issuer.Name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("minting a certificate to present: %w", err)
	}
	return throwaway.Borrow(certs[0], key, certs[1:]...), nil
}

// revokedClient returns the serial number of a client's certificate that is revoked and has not
// expired, or nil if the ledger has none.
func revokedClient(dir string, now time.Time) (*big.Int, error) {
	entries, err := ReadLedger(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Event != EventRevoke || e.Role == RoleCA || e.Role == RoleServer || e.Role == RolePeer || !now.Before(e.NotAfter) {
			continue
		}
		if serial, ok := new(big.Int).SetString(e.Serial, 16); ok {
			return serial, nil
		}
	}
	return nil, nil
}
