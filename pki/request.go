package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// maxRequestSize is far above the size of a request for an RSA-4096 key.
const maxRequestSize = 64 << 10

// Request names the files of a certificate request that a node made.
type Request struct {
	Name string `json:"name"`
	Key  string `json:"key"`      // in the node's folder
	CSR  string `json:"csr"`      // likewise
	Kept bool   `json:"key_kept"` // whether the key existed before
}

// RequestResult lists the requests that were made in a folder. It is its own JSON.
type RequestResult struct {
	SchemaVersion int       `json:"schema_version"`
	Dir           string    `json:"dir"`
	DryRun        bool      `json:"dry_run"`
	Requests      []Request `json:"requests"`
	Holder        string    `json:"-"` // the member, client or leaf that they are for
}

// WriteText writes the path of each request.
func (r RequestResult) WriteText(out io.Writer) error {
	for _, made := range r.Requests {
		if _, err := fmt.Fprintln(out, filepath.Join(r.Dir, made.CSR)); err != nil {
			return err
		}
	}
	return nil
}

// Summary returns one line that says what to do with the requests.
func (r RequestResult) Summary() string {
	if r.DryRun {
		return "dry run: nothing was written in " + r.Dir
	}
	return "requests for " + r.Holder + ": give these files to the operator, and keep the keys on this node"
}

// MakeRequests makes a key and a request in dir for each leaf. It keeps existing keys, and makes
// requests for them. With dryRun it writes nothing.
func MakeRequests(dir string, leaves []Leaf, algorithm cluster.KeyAlgorithm, dryRun bool) ([]Request, error) {
	if err := CheckOutsideStores(dir); err != nil {
		return nil, err
	}
	if !dryRun {
		if err := durable.MakeDirs(dir, durable.Process()); err != nil {
			return nil, err
		}
		release, err := durable.Lock(dir)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	made := make([]Request, 0, len(leaves))
	for _, l := range leaves {
		r, err := makeRequest(dir, l, algorithm, dryRun)
		if err != nil {
			return nil, err
		}
		made = append(made, r)
	}
	return made, nil
}

// makeRequest makes a key and its request. The key comes first: if a run is killed, the next one
// uses the key.
func makeRequest(dir string, l Leaf, algorithm cluster.KeyAlgorithm, dryRun bool) (Request, error) {
	r := Request{Name: l.Name, Key: l.KeyFile, CSR: l.CSRFile}
	if err := checkFormerRequest(filepath.Join(dir, filepath.FromSlash(r.CSR)), l); err != nil {
		return r, err
	}
	key, err := ReadKey(filepath.Join(dir, filepath.FromSlash(l.KeyFile)))
	switch {
	case err == nil:
		r.Kept = true
	case !errors.Is(err, fs.ErrNotExist):
		return r, err
	case isDangling(filepath.Join(dir, filepath.FromSlash(l.KeyFile))):
		return r, fmt.Errorf("%s is a symlink to a file that is gone; bring the key back, or remove the symlink for a new key", filepath.Join(dir, l.KeyFile))
	case dryRun:
		return r, nil
	default:
		made, keyPEM, err := NewKey(algorithm)
		if err != nil {
			return r, fmt.Errorf("making the key of %s: %w", l.Name, err)
		}
		if err := durable.WriteBelow(dir, l.KeyFile, 0o600, keyPEM); err != nil {
			return r, err
		}
		key = made
	}
	csrPEM, err := NewRequest(l, key)
	if err != nil || dryRun {
		return r, err
	}
	return r, durable.WriteBelow(dir, r.CSR, 0o644, csrPEM)
}

// isDangling reports whether a path is a symlink to nothing. A key whose file could not be found is no key
// that never was.
func isDangling(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// checkFormerRequest refuses to replace the request of another holder, such as that of one client by that of
// another in the same folder. Both would also have one key.
func checkFormerRequest(path string, l Leaf) error {
	data, err := durable.ReadFile(path, maxRequestSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	there, err := ParseRequest(data)
	if err != nil {
		return fmt.Errorf("%s is there already: %w; remove it, or give another folder", path, err)
	}
	if there.Subject.CommonName != l.CommonName {
		return fmt.Errorf("%s is there already, for CN=%s, and %s has CN=%s: give each holder a folder of its own", path, there.Subject.CommonName, l.Name, l.CommonName)
	}
	return nil
}

// ReadRequests reads and checks the CSRs for some leaves, from a folder or one file. The result
// lacks the leaves that have no request in the folder.
func ReadRequests(from string, leaves []Leaf) (map[LeafID]*x509.CertificateRequest, error) {
	files, err := requestFiles(from, leaves)
	if err != nil {
		return nil, err
	}
	requests := map[LeafID]*x509.CertificateRequest{}
	var faults []error
	for _, l := range leaves {
		file := files[l.ID]
		if file == "" {
			continue
		}
		data, err := durable.ReadFile(file, maxRequestSize)
		if err == nil {
			requests[l.ID], err = ParseRequest(data)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("reading the request %s: %w", file, err))
		}
	}
	return requests, errors.Join(faults...)
}

// requestFiles returns the path of each leaf's request. In a folder, a request has the name of the
// certificate's file, with the suffix .csr ([Leaf].CSRFile).
func requestFiles(from string, leaves []Leaf) (map[LeafID]string, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	files := map[LeafID]string{}
	if !info.IsDir() {
		if len(leaves) > 1 {
			return nil, fmt.Errorf("%s is one file, but there are %d certificates: name one of them, such as %s, or give a folder", from, len(leaves), leaves[0].Name)
		}
		files[leaves[0].ID] = from
		return files, nil
	}
	for _, l := range leaves {
		at := filepath.Join(from, filepath.FromSlash(l.CSRFile))
		if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		files[l.ID] = at
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no request: want %s", from, leaves[0].CSRFile)
	}
	return files, nil
}
