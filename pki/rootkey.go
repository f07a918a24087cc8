package pki

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/agekey"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki/execsigner"
)

// encryptedKeyName names the age file of an authority's key.
const encryptedKeyName = "ca.key.age"

// RootKeys tells how the keys of roots are kept. The zero value keeps them as they are, and
// new ones as plain files.
type RootKeys struct {
	Recipients []string // age recipients; any one of their identities opens the key
	Passphrase []byte
	Destroy    bool
}

// RootKeyFiles names the files by which the keys of roots are kept and opened.
type RootKeyFiles struct {
	Recipients     []string // age recipients as such
	RecipientsPath string   // of a file of recipients, one on each line
	PassphrasePath string   // of a passphrase that encrypts keys and opens them
	IdentityPath   string   // of an age identity that opens keys
	Destroy        bool
}

// maxRecipientsSize holds thousands of recipients.
const maxRecipientsSize = 256 << 10

// Read reads the files, and finds out whether keys can be kept so.
func (f RootKeyFiles) Read() (keep RootKeys, access KeyAccess, err error) {
	keep = RootKeys{Recipients: f.Recipients, Destroy: f.Destroy}
	if f.RecipientsPath != "" {
		text, err := durable.ReadFile(f.RecipientsPath, maxRecipientsSize)
		if err != nil {
			return keep, access, err
		}
		more, err := agekey.ParseRecipients(text)
		if err != nil {
			return keep, access, &FileError{f.RecipientsPath, err}
		}
		keep.Recipients = append(keep.Recipients, more...)
	}
	if f.PassphrasePath != "" {
		text, err := ReadSecret(f.PassphrasePath)
		if err != nil {
			return keep, access, err
		}
		if keep.Passphrase, err = agekey.ParsePassphrase(text); err != nil {
			return keep, access, &FileError{f.PassphrasePath, err}
		}
		access.Passphrase = keep.Passphrase
	}
	if f.IdentityPath != "" {
		if access.Identities, err = ReadSecret(f.IdentityPath); err != nil {
			return keep, access, err
		}
	}
	if err := keep.Check(); err != nil {
		return keep, access, fmt.Errorf("keeping the roots' keys: %w", err)
	}
	return keep, access, nil
}

func (r RootKeys) isSet() bool { return len(r.Recipients) > 0 || r.Passphrase != nil || r.Destroy }

// Check finds out whether keys can be kept so, before any is made.
func (r RootKeys) Check() error {
	ways := 0
	for _, given := range []bool{len(r.Recipients) > 0, r.Passphrase != nil, r.Destroy} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("root keys are kept in one way: for recipients, with a passphrase, or destroyed")
	}
	switch {
	case r.Passphrase != nil:
		return agekey.CheckPassphrase(r.Passphrase)
	case len(r.Recipients) > 0:
		_, err := agekey.Encrypt([]byte("a trial"), r.Recipients)
		return err
	}
	return nil
}

// files returns the files that hold a root's key in the way it is kept.
func (r RootKeys) files(keyPEM []byte) ([]durable.File, error) {
	var encrypted []byte
	var err error
	switch {
	case r.Destroy:
		return nil, nil
	case r.Passphrase != nil:
		encrypted, err = agekey.EncryptPassphrase(keyPEM, r.Passphrase)
	case len(r.Recipients) > 0:
		encrypted, err = agekey.Encrypt(keyPEM, r.Recipients)
	default:
		return []durable.File{{Name: caKeyName, Mode: 0o600, Data: keyPEM}}, nil
	}
	if err != nil {
		return nil, err
	}
	return []durable.File{{Name: encryptedKeyName, Mode: 0o600, Data: encrypted}}, nil
}

// describe says in what way a key is kept.
func (r RootKeys) describe() string {
	switch {
	case r.Destroy:
		return "its key destroyed"
	case r.isSet():
		return "its key encrypted"
	}
	return ""
}

// KeyAccess holds what opens encrypted keys.
type KeyAccess struct {
	Identities []byte // the text of an age identity file
	Passphrase []byte
}

// isRoot reports whether verifiers trust this authority, so that its key is to be kept apart.
func (a Authority) isRoot() bool { return a.Issuer == "" || a.Name == PeerRoot }

// fetchKey fetches the key of an authority whose plain key is not in the store: from the
// program that has it, or out of its age file. It is the certificate's key or an error.
func (s *Store) fetchKey(ctx context.Context, a Authority, cert *x509.Certificate) (crypto.Signer, error) {
	if a.external != nil {
		return a.externalSigner(ctx, cert.PublicKey)
	}
	at := path.Join(a.Path(), encryptedKeyName)
	data, err := durable.ReadFile(filepath.Join(s.Dir, filepath.FromSlash(at)), agekey.MaxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s/%s is not here", a.Path(), caKeyName)
	}
	if err != nil {
		return nil, err
	}
	keyPEM, err := s.Keys.open(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: what is in it is no key: %w", at, err)
	}
	if !samePublicKey(key.Public(), cert.PublicKey) {
		return nil, fmt.Errorf("%s is not the key of %s beside it", at, caCertName)
	}
	return key, nil
}

// given reports whether there is anything that opens keys.
func (k KeyAccess) given() bool { return k.Identities != nil || k.Passphrase != nil }

func (k KeyAccess) open(data []byte) ([]byte, error) {
	byPassphrase, err := agekey.HasPassphrase(data)
	switch {
	case err != nil:
		return nil, err
	case byPassphrase && k.Passphrase == nil:
		return nil, errors.New("it is encrypted with a passphrase: --root-key-passphrase-file")
	case byPassphrase:
		return agekey.DecryptPassphrase(data, k.Passphrase)
	case k.Identities == nil:
		return nil, errors.New("it is encrypted: --root-key-identity, the file of an age identity")
	}
	return agekey.Decrypt(data, k.Identities)
}

// externalSigner asks the program that has an authority's key; public is nil when a new
// authority takes whatever key that is.
func (a Authority) externalSigner(ctx context.Context, public crypto.PublicKey) (crypto.Signer, error) {
	signer, err := execsigner.New(ctx, execsigner.Config{Argv: a.external.Exec, Key: a.external.Key, Env: a.external.Env, Public: public})
	if err != nil {
		return nil, fmt.Errorf("the key of %s: %w", a.Name, err)
	}
	return signer, nil
}

// setExternal marks the authorities whose keys a program has.
func (p *Plan) setExternal(keys []cluster.ExternalKey) {
	for i := range p.Authorities {
		at := slices.IndexFunc(keys, func(k cluster.ExternalKey) bool { return k.Authority == p.Authorities[i].Name })
		if at >= 0 {
			p.Authorities[i].external = &keys[at]
		}
	}
}

// protects reports whether the plain key of a root that is there is to go, and writes into
// its step in what way the key is kept. certified means that this run signs the root.
func (r RootKeys) protects(a Authority, loaded *ca, certified bool, step *Step) bool {
	if !a.isRoot() || a.external != nil || !r.isSet() {
		return false
	}
	switch {
	case loaded == nil || certified && loaded.key != nil:
		step.Detail += "; " + r.describe()
	case loaded.key != nil:
		step.Action, step.Detail = ActionProtect, r.describe()
	default:
		return false
	}
	return loaded != nil
}

// dropFormerKeys removes the former version of every authority that holds a key which must not
// lie there any more, also after a run that was killed before it did so.
func (s *Store) dropFormerKeys(plan Plan) error {
	for _, a := range plan.Authorities {
		at := s.formerKey(a)
		if at == "" {
			continue
		}
		dir, name := filepath.Split(filepath.Join(s.Dir, filepath.FromSlash(a.Path())))
		if err := durable.DropPrevious(filepath.Clean(dir), name); err != nil {
			return err
		}
	}
	return nil
}

// formerKey returns where a key lies that must not lie there any more; empty if there is none.
// That is the plain key of a root whose current version has none, and the key of an issuing CA
// that was replaced: what it signed lives on in the bundles, and it signs nothing more.
func (s *Store) formerKey(a Authority) string {
	dir, name := filepath.Split(filepath.Join(s.Dir, filepath.FromSlash(a.Path())))
	if a.isRoot() && exists(filepath.Join(dir, name, caKeyName)) || !exists(filepath.Join(dir, name, caCertName)) {
		return ""
	}
	version, err := durable.BundleVersion(filepath.Clean(dir), name)
	if err != nil || version == 0 {
		return ""
	}
	former := fmt.Sprintf(".%s.%d", name, version-1)
	if !exists(filepath.Join(dir, former, caKeyName)) || !a.isRoot() && sameKeyOf(filepath.Join(dir, former, caCertName), filepath.Join(dir, name, caCertName)) {
		return ""
	}
	return path.Join(path.Dir(a.Path()), former, caKeyName)
}

// sameKeyOf reports whether two certificate files are for one key, or one of them cannot be read.
func sameKeyOf(one, other string) bool {
	a, err := ReadCertificates(one)
	if err != nil {
		return true
	}
	b, err := ReadCertificates(other)
	return err != nil || samePublicKey(a[0].PublicKey, b[0].PublicKey)
}
