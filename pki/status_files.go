package pki

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// The bounds of a walk through a folder.
const (
	maxFiles = 100_000
	maxDepth = 12
)

// certificateSuffixes are the suffixes of files that claim to be certificates: what cannot be read or
// understood of them is listed. A file with another name is listed if it has a certificate in PEM.
var certificateSuffixes = []string{".crt", ".pem", ".cer", ".cert", ".der", ".p7b", ".p7c", ".p12", ".pfx", ".jks"}

// FileStatus returns the state of every certificate in a file or below a folder, in the order of
// the paths. It uses no keys. It reports a symlink out of the folder and does not follow it.
func FileStatus(ctx context.Context, target string, now time.Time) ([]Status, error) {
	info, err := os.Stat(target)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		chain, err := ReadCertificates(target)
		return []Status{newFileStatus(target, chain, err, now)}, nil
	}
	w := walker{root: target}
	if w.inside, err = filepath.EvalSymlinks(target); err != nil {
		return nil, err
	}
	if err := w.walkFolder(target, 0); err != nil {
		return nil, err
	}
	rows := make([]Status, len(w.paths))
	if err := parallel(ctx, len(w.paths), func(i int) error {
		rows[i] = Status{Source: w.paths[i]}.withError(w.faults[i])
		if rows[i].State == "" {
			rows[i] = readStatus(w.paths[i], now)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for i := range rows {
		if relative, err := filepath.Rel(target, rows[i].Source); err == nil {
			rows[i].Name = strings.TrimSuffix(filepath.ToSlash(relative), filepath.Ext(relative))
		}
	}
	// A file may be whole and hold no certificate, such as a key.
	rows = slices.DeleteFunc(rows, func(s Status) bool { return s.State == "" })
	judgeIssuers(rows)
	return rows, nil
}

// walker lists the files of a folder that can be certificates.
type walker struct {
	root, inside string
	paths        []string
	faults       []error // of each path; nil for one to read
}

func (w *walker) walkFolder(dir string, depth int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return w.add(dir, err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() && isVersion(dir, e.Name()) {
			continue // the walk reaches the current one by its symlink
		}
		kind := e.Type()
		if kind&fs.ModeSymlink != 0 {
			if kind, err = w.resolveSymlink(path); err != nil {
				if err := w.add(path, err); err != nil {
					return err
				}
				continue
			}
		}
		switch {
		case kind == fs.ModeIrregular: // a symlink that is passed over
		case kind.IsDir() && depth >= maxDepth:
			err = w.add(path, fmt.Errorf("more than %d folders deep", maxDepth))
		case kind.IsDir():
			err = w.walkFolder(path, depth+1)
		case isCertificateName(path) || kind.IsRegular() && mayHoldPEM(path):
			err = w.add(path, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resolveSymlink returns the kind of file to which a symlink within the folder leads. A symlink to a
// folder is skipped, because the walk visits that folder by its own name. The exception is the
// version to which a bundle's name leads.
func (w *walker) resolveSymlink(path string) (fs.FileMode, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return 0, err
	}
	if relative, err := filepath.Rel(w.inside, target); err != nil || !filepath.IsLocal(relative) {
		return 0, fmt.Errorf("a symlink out of %s, to %s; give that path instead", w.root, target)
	}
	info, err := os.Stat(target)
	if err != nil {
		return 0, err
	}
	if info.IsDir() && (strings.HasPrefix(filepath.Base(path), ".") || !isVersion(filepath.Dir(target), filepath.Base(target))) {
		return fs.ModeIrregular, nil
	}
	return info.Mode().Type(), nil
}

func (w *walker) add(path string, fault error) error {
	if len(w.paths) >= maxFiles {
		return fmt.Errorf("%s has more than %d files; give a smaller folder", w.root, maxFiles)
	}
	w.paths, w.faults = append(w.paths, path), append(w.faults, fault)
	return nil
}

func isCertificateName(path string) bool {
	return slices.Contains(certificateSuffixes, strings.ToLower(filepath.Ext(path)))
}

// versionName matches a version of a bundle, which is next to the symlink to it.
var versionName = regexp.MustCompile(`^\.(.+)\.[0-9]+$`)

// isVersion reports whether a folder is a version of a bundle, or of a volume that the kubelet or an
// installation projects. What is current of it has a name of its own.
func isVersion(dir, name string) bool {
	if strings.HasPrefix(name, "..") {
		return true
	}
	of := versionName.FindStringSubmatch(name)
	if of == nil {
		return false
	}
	link, err := os.Lstat(filepath.Join(dir, of[1]))
	return err == nil && link.Mode()&fs.ModeSymlink != 0
}

// mayHoldPEM reports whether a file of any name may hold a certificate in PEM, by its size. Its
// content decides.
func mayHoldPEM(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0 && info.Size() <= maxPEMSize && !strings.HasSuffix(path, ".tmp")
}

// readStatus reads one file of a folder. The state is empty if the file is no certificate's: because
// it is whole and holds something else, or because nothing in its name and content speaks of one.
func readStatus(path string, now time.Time) Status {
	data, err := durable.ReadFile(path, maxPEMSize)
	if !isCertificateName(path) && !bytes.Contains(data, []byte(pemCertificate+"-----")) {
		return Status{Source: path}
	}
	if err != nil {
		return newFileStatus(path, nil, err, now)
	}
	chain, err := ParseCertificates(data)
	_, other := errors.AsType[*noCertificateError](err)
	switch isPEM := strings.EqualFold(filepath.Ext(path), ".pem"); {
	case other && !isCertificateName(path), isPEM && other, isPEM && errors.Is(err, errIsKey):
		return Status{Source: path}
	}
	return newFileStatus(path, chain, err, now)
}

// newFileStatus returns the row of a file, with its certificates or the reason why they are unknown.
func newFileStatus(path string, chain []*x509.Certificate, err error, now time.Time) Status {
	row := Status{Source: path, Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))}
	if err != nil {
		return row.withError(err)
	}
	row.Chain, row.Role = chain, roleOf(chain[0])
	if row.Role == RoleCA && len(chain) > 1 {
		row.Detail = fmt.Sprintf("and %d more CAs in it", len(chain)-1)
	}
	state, detail := Judge(chain, now)
	row.State = state
	if detail != "" {
		row.Detail = detail
	}
	return row
}

// roleOf returns the role of a certificate by its extended key usages.
func roleOf(cert *x509.Certificate) string {
	server, client := slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth), slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	switch {
	case cert.IsCA:
		return RoleCA
	case server && client:
		return RolePeer
	case server:
		return RoleServer
	case client:
		return "client"
	}
	return ""
}

// judgeIssuers marks the leaves that none of the CAs signed, if a CA is in their folder or in one
// above it. All CAs count: that of kubeadm's apiserver-etcd-client.crt is in a folder below.
func judgeIssuers(rows []Status) {
	var cas []Status
	for _, row := range rows {
		if row.Role == RoleCA {
			cas = append(cas, row)
		}
	}
	for i := range rows {
		row := &rows[i]
		if row.Role == RoleCA || len(row.Chain) == 0 || row.State == StateExpired || row.State == StateNotYetValid {
			continue
		}
		around, signed := 0, false
		top := row.Chain[len(row.Chain)-1]
		for _, ca := range cas {
			if strings.HasPrefix(row.Source, filepath.Dir(ca.Source)+string(filepath.Separator)) {
				around++
			}
			for _, cert := range ca.Chain {
				signed = signed || cert.Equal(top) || top.CheckSignatureFrom(cert) == nil
			}
		}
		if around > 0 && !signed {
			row.State, row.Detail = StateWrongIssuer, fmt.Sprintf("none of the CAs here signed it; its issuer is %q", top.Issuer.CommonName)
		}
	}
}
