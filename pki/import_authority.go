package pki

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/legible"
)

// AuthorityFile is the name of an authority of the [Plan], and the path of its certificate.
type AuthorityFile struct{ Name, Path string }

// ParseAuthorityFiles reads files that are written as NAME=FILE. The plan of c must have each name.
func ParseAuthorityFiles(written []string, c *cluster.Cluster) ([]AuthorityFile, error) {
	known := NewPlan(c).Authorities
	var files []AuthorityFile
	for _, w := range written {
		name, file, _ := strings.Cut(w, "=")
		if !slices.ContainsFunc(known, func(a Authority) bool { return a.Name == name }) {
			return nil, fmt.Errorf("%q: the plan has no authority %q", w, name)
		}
		files = append(files, AuthorityFile{Name: name, Path: file})
	}
	return files, nil
}

// AuthoritiesResult lists the CAs that were copied into a store. It is its own JSON.
type AuthoritiesResult struct {
	SchemaVersion int               `json:"schema_version"`
	Dir           string            `json:"dir"`
	DryRun        bool              `json:"dry_run"`
	Authorities   []CopiedAuthority `json:"authorities"`
}

// CopiedAuthority is a CA that was copied into a store.
type CopiedAuthority struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
}

// WriteText writes one CA on each line.
func (r AuthoritiesResult) WriteText(out io.Writer) error {
	for _, a := range r.Authorities {
		if _, err := fmt.Fprintf(out, "%s  %s\n", a.Name, legible.Line(a.Subject)); err != nil {
			return err
		}
	}
	return nil
}

// Summary returns one line about what was written.
func (r AuthoritiesResult) Summary() string {
	if r.DryRun {
		return "dry run: nothing was written in " + r.Dir
	}
	return fmt.Sprintf("copied %d certificates into %s", len(r.Authorities), r.Dir)
}

// AdoptAuthorities copies the certificates of a site's own CAs into the store in dir, like [AdoptInto].
func AdoptAuthorities(dir string, c *cluster.Cluster, files []AuthorityFile, now time.Time, dryRun bool) (AuthoritiesResult, error) {
	result := AuthoritiesResult{SchemaVersion: 1, Dir: dir, DryRun: dryRun}
	adoption, err := readAuthorities(files)
	if err != nil {
		return result, err
	}
	if err := AdoptInto(dir, c, adoption, now, dryRun); err != nil {
		return result, err
	}
	for _, f := range files {
		result.Authorities = append(result.Authorities, CopiedAuthority{f.Name, adoption.Authorities[f.Name].Certificate.Subject.String()})
	}
	return result, nil
}

// readAuthorities reads a site's own CAs. Their keys stay where they are.
func readAuthorities(files []AuthorityFile) (Adoption, error) {
	adoption := Adoption{Authorities: map[string]AdoptedCA{}}
	for _, f := range files {
		certs, err := ReadCertificates(f.Path)
		if err != nil {
			return adoption, err
		}
		if len(certs) != 1 {
			return adoption, fmt.Errorf("%s holds %d certificates, want only the CA's own", f.Path, len(certs))
		}
		adoption.Authorities[f.Name] = AdoptedCA{Certificate: certs[0]}
	}
	return adoption, nil
}
