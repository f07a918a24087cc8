package pki

import (
	"context"
	"crypto"
	"crypto/fips140"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/pki/internal/cfsslca"
	"github.com/etcdsec/etcdsec/pki/internal/leafcert"
)

// leafSigner signs leaves with one authority.
type leafSigner struct {
	std    leafcert.Signer
	cfssl  *cfsslca.Signer // nil for the std backend
	remote *cfsslca.Remote // instead of both

	chainPEM []byte // the CAs that follow each leaf
}

// Remote is a site's own `cfssl serve`, which signs leaves instead of the store's keys.
type Remote struct{ server *cfsslca.Remote }

// NewRemote returns a client of a cfssl server, such as https://ca.example:8888. key is the
// hexadecimal HMAC key of its auth provider. roots, if not nil, verify the server.
func NewRemote(url string, key []byte, roots *x509.CertPool) (*Remote, error) {
	server, err := cfsslca.NewRemote(url, key, roots)
	if err != nil {
		return nil, err
	}
	return &Remote{server}, nil
}

// RemoteFiles holds the URL of a cfssl server and the paths of the files to use with it.
type RemoteFiles struct {
	URL     string
	KeyPath string // of its auth key, which nobody else may read: whoever has it gets certificates
	CAPath  string // of the roots that verify the server; empty for the system's
}

// Open reads the files. It returns nil without a URL.
func (f RemoteFiles) Open(files *input.Files) (*Remote, error) {
	switch {
	case f.URL == "" && f.KeyPath+f.CAPath != "":
		return nil, errors.New("--remote-key and --remote-cacert go with --remote")
	case f.URL == "":
		return nil, nil
	case f.KeyPath == "":
		return nil, errors.New("--remote needs --remote-key, the file of the server's auth key")
	}
	key, err := ReadSecret(files, f.KeyPath)
	if err != nil {
		return nil, err
	}
	var roots *x509.CertPool
	if f.CAPath != "" {
		certs, err := ReadCertificates(f.CAPath)
		if err != nil {
			return nil, err
		}
		roots = x509.NewCertPool()
		for _, c := range certs {
			roots.AddCert(c)
		}
	}
	remote, err := NewRemote(f.URL, key, roots)
	if err != nil {
		return nil, fmt.Errorf("--remote with --remote-key %s: %w", f.KeyPath, err)
	}
	return remote, nil
}

// newLeafSigner returns a signer for one issuer. Under FIPS it uses crypto/x509: cfssl 1.6.5 computes
// subject key IDs with SHA-1 and would panic.
func newLeafSigner(issuer *ca, backend Backend, remote *Remote) (*leafSigner, error) {
	if remote != nil {
		return &leafSigner{remote: remote.server}, nil
	}
	s := &leafSigner{std: leafcert.Signer{CA: issuer.cert, Key: issuer.key}}
	if backend == BackendStd || fips140.Enforced() {
		return s, nil
	}
	var err error
	s.cfssl, err = cfsslca.New(issuer.cert, issuer.key)
	return s, err
}

// subject is the key of a leaf: the private key, or only the public key.
type subject struct {
	key crypto.Signer
	pub crypto.PublicKey // if the private key is elsewhere
	csr []byte           // DER; the proof of its possession, if there is one
}

func (s subject) publicKey() crypto.PublicKey {
	if s.key != nil {
		return s.key.Public()
	}
	return s.pub
}

// sign makes the leaf's certificate. cfssl signs only for a CSR; if there is none, and no key to make
// one, crypto/x509 signs.
func (s *leafSigner) sign(ctx context.Context, l Leaf, holder subject, notBefore, notAfter time.Time) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	r := leafcert.Request{
		Serial: serial, CommonName: l.CommonName,
		IPs: l.Names.IPs, DNS: l.Names.DNS, URIs: l.Names.URIs, Emails: l.Names.Emails, EKUs: l.EKUs,
		NotBefore: notBefore, NotAfter: notAfter,
	}
	csr := holder.csr
	if (s.cfssl != nil || s.remote != nil) && csr == nil && holder.key != nil {
		if csr, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, holder.key); err != nil {
			return nil, err
		}
	}
	switch {
	case s.remote != nil && csr == nil:
		return nil, errors.New("its key is on its node, and a cfssl server signs only for a CSR: etcdsec pki csr")
	case s.remote != nil:
		return s.remote.Sign(ctx, r, csr)
	case s.cfssl == nil || csr == nil:
		return s.std.Sign(r, holder.publicKey())
	}
	return s.cfssl.Sign(r, csr)
}
