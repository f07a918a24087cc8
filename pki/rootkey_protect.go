package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/internal/agekey"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// recipientsName is the name of the file that records to whom ca.key.age is encrypted: an age file
// does not tell it. Recipients are public.
const recipientsName = "ca.key.recipients"

// encodeRecipients returns the record of the recipients of an age file.
func encodeRecipients(encrypted []byte, recipients []string) []byte {
	sum := sha256.Sum256(encrypted)
	lines := make([]string, 0, len(recipients))
	for _, r := range recipients {
		lines = append(lines, strings.TrimSpace(r))
	}
	slices.Sort(lines)
	return []byte(hex.EncodeToString(sum[:]) + "\n" + strings.Join(slices.Compact(lines), "\n") + "\n")
}

// rootKeyFiles tells which forms of a root's key the store has.
type rootKeyForms struct {
	plain      bool
	encrypted  []byte // nil if there is no age file
	recipients []byte // the record beside it
	copies     []string
}

// findRootKey finds every form of a root's key in the store.
func (s *Store) findRootKey(loaded *ca) (rootKeyForms, error) {
	forms := rootKeyForms{plain: loaded.key != nil}
	var err error
	if forms.encrypted, err = s.readOptional(loaded.Path(), encryptedKeyName); err != nil {
		return forms, err
	}
	if forms.recipients, err = s.readOptional(loaded.Path(), recipientsName); err != nil {
		return forms, err
	}
	forms.copies, err = s.findKeyCopies(".", loaded)
	return forms, err
}

// readOptional reads a file of the store, and returns nil if there is none.
func (s *Store) readOptional(parts ...string) ([]byte, error) {
	data, err := durable.ReadFile(s.path(parts...), agekey.MaxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// findKeyCopies returns the files below a folder of the store that hold the plain key of an authority, or
// an age file of it in a former version: in any folder, hidden too, and under any name. It leaves out
// the authority's current files.
func (s *Store) findKeyCopies(folder string, of *ca) ([]string, error) {
	current := map[string]bool{}
	for _, name := range []string{caKeyName, encryptedKeyName} {
		if at, err := filepath.EvalSymlinks(s.path(of.Path(), name)); err == nil {
			current[at] = true
		}
	}
	root, err := filepath.EvalSymlinks(s.Dir)
	if err != nil {
		return nil, err
	}
	var copies []string
	err = filepath.WalkDir(filepath.Join(root, filepath.FromSlash(folder)), func(at string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || current[at] {
			return err
		}
		held, err := keysIn(at)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		former := e.Name() == encryptedKeyName && bundlePath(name) == path.Join(of.Path(), encryptedKeyName)
		if former || slices.ContainsFunc(held, func(k crypto.PublicKey) bool { return samePublicKey(k, of.cert.PublicKey) }) {
			copies = append(copies, name)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return copies, nil
	}
	return copies, err
}

// keysIn returns the public halves of the private keys in a file, in PEM or DER, whatever its name is. A
// file that is larger than any key has none.
func keysIn(at string) ([]crypto.PublicKey, error) {
	data, err := durable.ReadFile(at, maxLedgerSize)
	if err != nil || len(data) > maxPEMSize {
		return nil, err
	}
	var keys []crypto.PublicKey
	add := func(der []byte) {
		if key := parseKeyDER(der); key != nil {
			keys = append(keys, key.Public())
		}
	}
	if !bytes.Contains(data, []byte("-----BEGIN")) {
		add(data)
		return keys, nil
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return keys, nil
		}
		add(block.Bytes)
	}
}

// planRootKey decides what a run does with the key of a root, and writes it into the step. certified means that
// this run signs the root. It returns an error if the flags ask for what this run cannot do.
func (s *Store) planRootKey(ctx context.Context, w *Survey, a Authority, loaded *ca, certified bool, step *Step) error {
	if !a.isRoot() || a.external != nil || !s.RootKeys.isSet() {
		return nil
	}
	if loaded == nil {
		step.Detail += "; " + s.RootKeys.describe()
		return nil
	}
	forms, err := s.findRootKey(loaded)
	if err != nil {
		return err
	}
	if target, err := os.Readlink(s.path(a.Path(), caKeyName)); err == nil {
		return &FileError{Path: s.path(a.Path(), caKeyName), Err: fmt.Errorf("it is a symlink to %s, where this program neither encrypts nor destroys the key: do so there, or bring the file itself here", strconv.Quote(target))}
	}
	did := ""
	switch {
	case !s.RootKeys.Destroy && !forms.plain && forms.encrypted == nil && len(forms.copies) > 0:
		return &FileError{Path: s.path(forms.copies[0]), Err: fmt.Errorf("it is the only copy of the key of %s in the store: move it to %s, and run this again to encrypt it, or remove it if you have another one elsewhere", a.Name, s.path(a.Path(), caKeyName))}
	case s.RootKeys.Destroy:
		if names := forms.names(a); len(names) > 0 {
			did = s.RootKeys.describe() + ": " + strings.Join(names, ", ")
		}
	case forms.plain:
		did = s.RootKeys.describe()
	case forms.encrypted != nil:
		if did, err = s.planReencryption(ctx, w, a, forms); err != nil {
			return err
		}
	}
	if did == "" && len(forms.copies) > 0 {
		did = "former keys removed"
	}
	if len(forms.copies) > 0 && !s.RootKeys.Destroy {
		did += "; removed from " + strings.Join(forms.copies, ", ")
	}
	if did == "" {
		if !forms.plain && forms.encrypted == nil {
			step.Detail = joinDetails(step.Detail, "its key is not in this store")
		}
		return nil
	}
	w.protect[a.Name] = true
	if certified {
		step.Detail += "; " + did
		return nil
	}
	step.Action, step.Detail = ActionProtect, did
	return nil
}

// names returns the paths of all files with the key, in the store.
func (f rootKeyForms) names(a Authority) []string {
	var names []string
	if f.plain {
		names = append(names, path.Join(a.Path(), caKeyName))
	}
	if f.encrypted != nil {
		names = append(names, path.Join(a.Path(), encryptedKeyName))
	}
	return append(names, f.copies...)
}

// planReencryption tells, in words, how an encrypted key is encrypted anew; empty if it need not be. It opens the
// key, and returns an error if nothing was given that does.
func (s *Store) planReencryption(ctx context.Context, w *Survey, a Authority, forms rootKeyForms) (string, error) {
	at := path.Join(a.Path(), encryptedKeyName)
	byPassphrase, err := agekey.HasPassphrase(forms.encrypted)
	if err != nil {
		return "", fmt.Errorf("%s: %w", at, err)
	}
	if s.RootKeys.Passphrase == nil && bytes.Equal(forms.recipients, encodeRecipients(forms.encrypted, s.RootKeys.Recipients)) {
		return "", nil
	}
	switch err := s.openKey(ctx, w, a); {
	case err != nil && byPassphrase && s.RootKeys.Passphrase != nil:
		return "", fmt.Errorf("%w; to change a passphrase, first give the former one with --root-key-passphrase-file and a recipient with --root-key-recipient, then the new one with --root-key-identity", err)
	case err != nil:
		return "", fmt.Errorf("%s is encrypted already, and not known to be so in the way that is asked for now; to encrypt it anew, also give what opens it, with --root-key-identity or --root-key-passphrase-file: %w", at, err)
	case byPassphrase && s.RootKeys.Passphrase != nil:
		return "", nil // the same passphrase opened it
	}
	return "its key encrypted anew", nil
}

// checkAccess refuses what is given to open keys if there is no key for it to open: it would do nothing.
func (s *Store) checkAccess(plan Plan, cas authorities) error {
	var identity, passphrase bool // whether there is a key that needs it, or will
	for _, a := range plan.Authorities {
		data, err := s.readOptional(a.Path(), encryptedKeyName)
		if err != nil {
			return err
		}
		if data == nil {
			// A key that this run encrypts is one, so that the command line can stay the same.
			fresh := a.isRoot() && a.external == nil && (cas[a.Name] == nil || cas[a.Name].key != nil)
			identity = identity || fresh && len(s.RootKeys.Recipients) > 0
			continue
		}
		byPassphrase, err := agekey.HasPassphrase(data)
		identity, passphrase = identity || err != nil || !byPassphrase, passphrase || err != nil || byPassphrase
	}
	switch {
	case s.Keys.Identities != nil && !identity:
		return errors.New("--root-key-identity opens nothing: the store has no key that is encrypted to a recipient")
	case s.Keys.Passphrase != nil && s.RootKeys.Passphrase == nil && !passphrase:
		return errors.New("--root-key-passphrase-file opens nothing: the store has no key that is encrypted with a passphrase, and --root-key-recipient encrypts the others")
	}
	return nil
}

// dropKeyCopies removes the copies of roots' keys that must not exist any more. If the run protects the
// key of a root, these are all copies in the store. Otherwise it removes those in hidden folders that a killed run left,
// when the key is not in plain text in its place.
func (s *Store) dropKeyCopies(plan Plan, protect map[string]bool) error {
	var faults []error
	for _, a := range plan.Authorities {
		if !a.isRoot() || a.external != nil {
			continue
		}
		loaded, err := s.loadCA(a, nil)
		if err != nil || loaded == nil || loaded.key != nil {
			continue // what is wrong with it is said elsewhere
		}
		folder := authoritiesFolder
		if protect[a.Name] {
			folder = "."
		}
		copies, err := s.findKeyCopies(folder, loaded)
		faults = append(faults, err)
		for _, at := range copies {
			if protect[a.Name] || strings.Contains("/"+at, "/.") && path.Base(at) != encryptedKeyName {
				faults = append(faults, durable.RemoveAll(s.path(at)))
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("removing copies of roots' keys: %w", err)
	}
	return nil
}
