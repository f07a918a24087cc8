package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// CheckLists verifies the revocation lists in a copy of a bundle, before anybody loads them: etcd lets nobody
// in with a list that it cannot parse, and whoever the wrong list lacks with one of another store.
func (b Bundle) CheckLists(dir string) error {
	_, err := b.readLists(dir)
	return err
}

// readLists returns the lists in a copy of a bundle, in the order of the plan. Each is verified by the CA that
// signs it in the plan, and that CA by the roots beside it.
func (b Bundle) readLists(dir string) ([]durable.File, error) {
	var files []durable.File
	var faults []error
	for _, f := range b.CRLs {
		at := filepath.Join(dir, filepath.FromSlash(f.Name))
		der, _, err := durable.ReadGuarded(at, maxPEMSize)
		switch {
		case err == nil:
		case !errors.Is(err, fs.ErrNotExist):
			faults = append(faults, err)
			continue
		case f.Required:
			faults = append(faults, fmt.Errorf("%s is missing, but spec.pki.crl is true: etcd does not start without it; run etcdsec pki renew on the store, and copy the bundle again", at))
			continue
		default:
			continue
		}
		list, err := parseList(der)
		if err == nil {
			err = b.verifyList(dir, f, list)
		}
		if err == nil {
			err = b.checkOwnSerials(dir, f, list)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", at, err))
			continue
		}
		files = append(files, durable.File{Name: f.Name, Mode: 0o644, Data: der})
	}
	return files, errors.Join(faults...)
}

// parseList reads a list in DER, which every supported release of etcd reads.
func parseList(der []byte) (*x509.RevocationList, error) {
	list, err := x509.ParseRevocationList(der)
	switch {
	case err != nil:
		return nil, fmt.Errorf("is not a revocation list in DER, and etcd would refuse every client with it: %w", err)
	case len(list.Raw) != len(der):
		return nil, errors.New("has something behind the revocation list")
	case list.Number == nil:
		return nil, errors.New("has no number, so nobody can tell whether it is newer than another list")
	}
	return list, nil
}

// verifyList verifies a list of a bundle's copy by its signer.
func (b Bundle) verifyList(dir string, f RevocationFile, list *x509.RevocationList) error {
	trust, err := readGuarded(filepath.Join(dir, filepath.FromSlash(b.trustFile(f.Root))), ParseTrust)
	if err != nil {
		return err
	}
	signers, from := trust, b.trustFile(f.Root)
	if f.SignerFile != "" {
		from = f.SignerFile
		signers, err = readGuarded(filepath.Join(dir, filepath.FromSlash(f.SignerFile)), ParseCertificates)
		if errors.Is(err, fs.ErrNotExist) {
			// Versions before wrote none. A leaf of the same CA has it too.
			from, signers, err = "the chains of the certificates", b.issuersIn(dir), nil
		}
		if err != nil {
			return err
		}
	}
	for _, signer := range signers {
		if !bytes.Equal(list.RawIssuer, signer.RawSubject) || list.CheckSignatureFrom(signer) != nil {
			continue
		}
		// etcd looks at no date of a list, so the CA must have been valid when it signed.
		if err := verifyChainTo([]*x509.Certificate{signer}, trust, x509.ExtKeyUsageAny, signedAt(list, signer)); err != nil {
			return fmt.Errorf("its signer %q does not verify below %s: %w", nameOf(signer), b.trustFile(f.Root), err)
		}
		return nil
	}
	return fmt.Errorf("no CA in %s has signed it, it is the list of %q; copy the whole bundle of this store again, after etcdsec pki renew", from, list.Issuer.String())
}

// signedAt returns a time at which the signer of a list was valid, when it was signed or just after: lists are
// backdated, and a new CA is valid only from then on.
func signedAt(list *x509.RevocationList, signer *x509.Certificate) time.Time {
	return maxTime(list.ThisUpdate, signer.NotBefore)
}

// issuersIn returns the CAs behind the leaves in a copy of a bundle.
func (b Bundle) issuersIn(dir string) []*x509.Certificate {
	var issuers []*x509.Certificate
	for _, l := range b.Leaves {
		if chain, err := readGuarded(filepath.Join(dir, filepath.FromSlash(l.CertFile)), ParseCertificates); err == nil {
			issuers = append(issuers, chain[1:]...)
		}
	}
	return issuers
}

// checkOwnSerials refuses a list that has a certificate of its own bundle: members would refuse it. Members
// compare nothing but serial numbers, so it does not matter which list it is.
func (b Bundle) checkOwnSerials(dir string, f RevocationFile, list *x509.RevocationList) error {
	var faults []error
	for _, l := range b.Leaves {
		chain, err := readGuarded(filepath.Join(dir, filepath.FromSlash(l.CertFile)), ParseCertificates)
		if err != nil {
			continue // that is a fault of the leaf
		}
		for _, cert := range chain {
			if slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(cert.SerialNumber) == 0 }) {
				faults = append(faults, fmt.Errorf("%s: serial number %s was revoked, as %s says; renew it in the store first", l.Name, SerialString(cert.SerialNumber), f.Name))
			}
		}
	}
	return errors.Join(faults...)
}

// trustFile returns the name of the file of a root.
func (b Bundle) trustFile(root string) string {
	for _, t := range b.Trust {
		if t.Root == root {
			return t.Name
		}
	}
	return ""
}

// addLists adds the revocation lists of a signed bundle. None may be older than the list that the node has: a
// certificate that was revoked since would work again.
func (in *installation) addLists(b Bundle, config InstallConfig) error {
	files, err := b.readLists(config.Signed)
	faults := []error{err}
	for _, f := range files {
		if err := checkListIsNewer(filepath.Join(config.Target, filepath.FromSlash(f.Name)), f.Data, config.NewTrust); err != nil {
			faults = append(faults, err)
			continue
		}
		in.add(f)
	}
	return errors.Join(faults...)
}

// checkListIsNewer compares a list with the one on the node. newTrust allows any list over one that another
// CA signed.
func checkListIsNewer(at string, der []byte, newTrust bool) error {
	data, _, err := durable.ReadGuarded(at, maxPEMSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	there, err := x509.ParseRevocationList(data)
	if err != nil || there.Number == nil {
		return nil //nolint:nilerr // anything is better than what etcd cannot read
	}
	next, err := parseList(der)
	if err != nil {
		return err
	}
	otherSigner := !bytes.Equal(there.RawIssuer, next.RawIssuer) || !bytes.Equal(there.AuthorityKeyId, next.AuthorityKeyId)
	order := next.Number.Cmp(there.Number)
	switch {
	case bytes.Equal(data, der), newTrust && otherSigner, order > 0:
		return nil
	case order == 0:
		return fmt.Errorf("%s is another list with the same number, %s; run etcdsec pki verify on the store, and copy the bundle again", at, next.Number)
	}
	return fmt.Errorf("%s has number %s, and the list to install is older, with number %s: what was revoked since would work again; copy the bundle of the store again, or if the file on the node is not of this store, remove it", at, there.Number, next.Number)
}
