// Package status reports when certificates end and what is wrong with them. It reads those of a
// store or of any folder, and compares those of live servers with the disk. It makes no connections
// itself and prints nothing.
package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
)

// Live compares the certificate that a live server presents with the one on the disk.
type Live string

// The results of the comparison.
const (
	LiveServed   Live = "served"             // the certificate on the disk
	LiveBehind   Live = "not yet picked up"  // older than the one in the store
	LiveRestart  Live = "restart needed"     // another one than in the server's own folder
	LiveDiskPast Live = "newer than on disk" // newer than the one on the disk
)

// RoleLive is the role of a certificate that a server presents.
const RoleLive = "live"

// Row is one certificate of a report.
type Row struct {
	Source   string     `json:"source"` // the file or endpoint
	Name     string     `json:"name"`
	Role     string     `json:"role"`
	Subject  string     `json:"subject,omitempty"`
	Issuer   string     `json:"issuer,omitempty"`
	Key      string     `json:"key,omitempty"`
	SANs     []string   `json:"sans,omitempty"`
	Serial   string     `json:"serial,omitempty"`
	NotAfter *time.Time `json:"not_after,omitempty"`
	DaysLeft int        `json:"days_left"`
	State    pki.State  `json:"state"`
	Live     Live       `json:"live,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	// Remedy tells how to renew a certificate of a store that is due.
	Remedy *pki.Remedy `json:"remedy,omitempty"`
}

// Report lists certificates with their states.
type Report struct {
	SchemaVersion int               `json:"schema_version"`
	Certificates  []Row             `json:"certificates"`
	Summary       map[pki.State]int `json:"summary"` // the number in each state
}

// New returns a report about the certificates on the disk and the rows of live servers.
func New(onDisk []Held, live []Row, now time.Time) Report {
	r := Report{SchemaVersion: 1, Certificates: []Row{}, Summary: map[pki.State]int{}}
	for _, h := range onDisk {
		r.Certificates = append(r.Certificates, newRow(h.Status, now))
	}
	r.Certificates = append(r.Certificates, live...)
	for _, row := range r.Certificates {
		r.Summary[row.State]++
	}
	return r
}

// Due returns the number of certificates that need work.
func (r Report) Due() int {
	n := 0
	for _, row := range r.Certificates {
		if row.State != pki.StateOK || row.Live == LiveBehind || row.Live == LiveRestart {
			n++
		}
	}
	return n
}

// Unreadable returns the number of certificates that could not be read.
func (r Report) Unreadable() int { return r.Summary[pki.StateUnreadable] }

func newRow(s pki.Status, now time.Time) Row {
	row := Row{Source: s.Source, Name: s.Name, Role: s.Role, State: s.State, Detail: s.Detail, Remedy: s.Remedy}
	if len(s.Chain) == 0 {
		return row
	}
	cert, end := s.Chain[0], s.Ends().UTC()
	row.Subject, row.Issuer = cert.Subject.String(), cert.Issuer.CommonName
	row.Key, row.SANs, row.Serial = pki.DescribeKey(cert), pki.SANs(cert), pki.SerialString(cert.SerialNumber)
	row.NotAfter, row.DaysLeft = &end, int(end.Sub(now).Hours()/24)
	return row
}

// Held is a certificate on the disk.
type Held struct {
	pki.Status
	InStore bool // the certificate is in an operator's store, where no server reads it
}

// Read returns the certificates of a store, a folder or a file, including those that cannot be
// parsed. A target without a certificate is an error.
func Read(ctx context.Context, target string, now time.Time) ([]Held, error) {
	spec := filepath.Join(target, pki.SpecName)
	var found []pki.Status
	_, err := os.Stat(spec)
	if errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	inStore := err == nil
	if inStore {
		c, err := cluster.Load(spec)
		if err != nil {
			return nil, err
		}
		found = pki.StoreStatus(target, c, now)
	} else if found, err = pki.FileStatus(ctx, target, now); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no certificate: no file with one in PEM, nor a name such as .crt or .pem", target)
	}
	held := make([]Held, 0, len(found))
	for _, s := range found {
		held = append(held, Held{s, inStore})
	}
	return held, nil
}
