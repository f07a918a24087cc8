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
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/pki/execsigner"
)

// encryptedKeyName is the name of the age file with an authority's key.
const encryptedKeyName = "ca.key.age"

// RootKeys tells how to store the keys of roots. The zero value leaves existing keys as they are,
// and stores new ones as plain files.
type RootKeys struct {
	Recipients []string // age recipients; any one of their identities opens the key
	Passphrase []byte
	Destroy    bool
}

// RootKeyFiles holds the paths of the files that encrypt and open the keys of roots.
type RootKeyFiles struct {
	Recipients     []string // age recipients
	RecipientsPath string   // of a file with one recipient per line
	PassphrasePath string   // of a passphrase that encrypts keys and opens them
	IdentityPath   string   // of an age identity that opens keys
	Destroy        bool
}

// maxRecipientsSize is enough for thousands of recipients, in bytes.
const maxRecipientsSize = 256 << 10

// Read reads the files, and checks that keys can be stored in this way.
func (f RootKeyFiles) Read(files *input.Files) (keep RootKeys, access KeyAccess, err error) {
	keep = RootKeys{Recipients: f.Recipients, Destroy: f.Destroy}
	if f.RecipientsPath != "" {
		text, err := files.Read(f.RecipientsPath, maxRecipientsSize)
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
		text, err := ReadSecret(files, f.PassphrasePath)
		if err != nil {
			return keep, access, err
		}
		if keep.Passphrase, err = agekey.ParsePassphrase(text); err != nil {
			return keep, access, &FileError{f.PassphrasePath, err}
		}
		access.Passphrase = keep.Passphrase
		if len(keep.Recipients) > 0 {
			keep.Passphrase = nil // it opens what the recipients shall open from now on
		}
	}
	if f.IdentityPath != "" {
		if access.Identities, err = ReadSecret(files, f.IdentityPath); err != nil {
			return keep, access, err
		}
		if err := agekey.CheckIdentities(access.Identities); err != nil {
			return keep, access, &FileError{f.IdentityPath, err}
		}
	}
	if err := keep.Check(); err != nil {
		return keep, access, fmt.Errorf("storing the roots' keys: %w", err)
	}
	return keep, access, nil
}

func (r RootKeys) isSet() bool { return len(r.Recipients) > 0 || r.Passphrase != nil || r.Destroy }

// Check returns an error if keys cannot be stored in this way. It makes none.
func (r RootKeys) Check() error {
	ways := 0
	for _, given := range []bool{len(r.Recipients) > 0, r.Passphrase != nil, r.Destroy} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("root keys can be stored in only one way: encrypted to recipients, encrypted with a passphrase, or destroyed")
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

// files returns the files that store a root's key in this way.
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
	files := []durable.File{{Name: encryptedKeyName, Mode: 0o600, Data: encrypted}}
	if len(r.Recipients) > 0 {
		files = append(files, durable.File{Name: recipientsName, Mode: 0o600, Data: encodeRecipients(encrypted, r.Recipients)})
	}
	return files, nil
}

// describe tells, in words, how a key is stored.
func (r RootKeys) describe() string {
	switch {
	case r.Destroy:
		return "its key destroyed"
	case r.isSet():
		return "its key encrypted"
	}
	return ""
}

// KeyAccess holds what it takes to use keys that are not plain in the store.
type KeyAccess struct {
	Identities []byte // the text of an age identity file
	Passphrase []byte
	// Supervisor is the command line that runs the programs which hold keys, as of an
	// [execsigner.Config].
	Supervisor []string
}

// isRoot reports whether etcd and its clients trust this authority directly, so that its key needs
// more protection.
func (a Authority) isRoot() bool { return a.Issuer == "" || a.Name == PeerRoot }

// fetchKey returns the key of an authority whose plain key is not in the store: from the program
// that holds it, or from its age file. It returns only the certificate's key, or an error.
func (s *Store) fetchKey(ctx context.Context, a Authority, cert *x509.Certificate) (crypto.Signer, error) {
	if a.external != nil {
		return a.externalSigner(ctx, cert.PublicKey, s.Keys.Supervisor)
	}
	at := path.Join(a.Path(), encryptedKeyName)
	data, err := durable.ReadFile(filepath.Join(s.Dir, filepath.FromSlash(at)), agekey.MaxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s/%s is not in the store", a.Path(), caKeyName)
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
		return nil, fmt.Errorf("%s: its content is not a key: %w", at, err)
	}
	if !samePublicKey(key.Public(), cert.PublicKey) {
		return nil, fmt.Errorf("%s is not the key of %s next to it", at, caCertName)
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
		return nil, errors.New("it is encrypted with a passphrase: give --root-key-passphrase-file")
	case byPassphrase:
		return agekey.DecryptPassphrase(data, k.Passphrase)
	case k.Identities == nil:
		return nil, errors.New("it is encrypted: give --root-key-identity, the file of an age identity")
	}
	return agekey.Decrypt(data, k.Identities)
}

// externalSigner returns a signer that asks the program which holds an authority's key. public is
// nil for a new authority, which takes any key that the program has.
func (a Authority) externalSigner(ctx context.Context, public crypto.PublicKey, supervisor []string) (crypto.Signer, error) {
	signer, err := execsigner.New(ctx, execsigner.Config{Argv: a.external.Exec, Key: a.external.Key, Env: a.external.Env, Public: public, Supervisor: supervisor})
	if err != nil {
		return nil, fmt.Errorf("using the key of %s: %w", a.Name, err)
	}
	return signer, nil
}

// setExternal marks the authorities whose keys a program holds.
func (p *Plan) setExternal(keys []cluster.ExternalKey) {
	for i := range p.Authorities {
		at := slices.IndexFunc(keys, func(k cluster.ExternalKey) bool { return k.Authority == p.Authorities[i].Name })
		if at >= 0 {
			p.Authorities[i].external = &keys[at]
		}
	}
}

// dropFormerKeys removes the former version of every authority that holds a key which must no longer
// exist there, and other copies of roots' keys. It also does this for an earlier run that was killed.
// protect has the roots whose key this run encrypts or destroys.
func (s *Store) dropFormerKeys(plan Plan, protect map[string]bool) error {
	for _, a := range plan.Authorities {
		at, err := s.formerKey(a)
		if err != nil {
			return err
		}
		if at == "" && !protect[a.Name] {
			continue
		}
		dir, name := filepath.Split(filepath.Join(s.Dir, filepath.FromSlash(a.Path())))
		if err := durable.DropPrevious(filepath.Clean(dir), name); err != nil {
			return err
		}
	}
	return s.dropKeyCopies(plan, protect)
}

// formerKey returns the path of a key in a former version of an authority that must no longer exist
// there; empty if there is none. That is the plain key of a root whose current version has none, and
// the key of an issuing CA that was replaced. What that CA signed stays in the bundles, but it signs
// nothing more.
func (s *Store) formerKey(a Authority) (string, error) {
	dir, name := filepath.Split(filepath.Join(s.Dir, filepath.FromSlash(a.Path())))
	withKey, keyErr := exists(filepath.Join(dir, name, caKeyName))
	withCert, certErr := exists(filepath.Join(dir, name, caCertName))
	if err := errors.Join(keyErr, certErr); err != nil || a.isRoot() && withKey || !withCert {
		return "", err
	}
	version, err := durable.BundleVersion(filepath.Clean(dir), name)
	if err != nil || version == 0 {
		return "", nil //nolint:nilerr // what is there instead of the bundle has no versions
	}
	former := fmt.Sprintf(".%s.%d", name, version-1)
	if withKey, err = exists(filepath.Join(dir, former, caKeyName)); err != nil || !withKey {
		return "", err
	}
	if !a.isRoot() {
		same, err := sameKeyOf(filepath.Join(dir, former, caCertName), filepath.Join(dir, name, caCertName))
		if err != nil || same {
			return "", err
		}
	}
	return path.Join(path.Dir(a.Path()), former, caKeyName), nil
}

// sameKeyOf reports whether two certificate files are for one key, or one of them holds no
// certificate. It returns an error if it may not read one.
func sameKeyOf(one, other string) (bool, error) {
	a, err := ReadCertificates(one)
	var b []*x509.Certificate
	if err == nil {
		b, err = ReadCertificates(other)
	}
	if errors.Is(err, fs.ErrPermission) {
		return false, err
	}
	return err != nil || samePublicKey(a[0].PublicKey, b[0].PublicKey), nil
}
