// Package status reports when certificates end and what is wrong with them: those of a
// store, of any folder, and of live servers beside what is on the disk for them. It dials
// nothing itself and says nothing to the user.
package status

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
)

// Live says what a live server presents beside what is on the disk.
type Live string

// What a server may present.
const (
	LiveServed   Live = "served"             // what is on the disk
	LiveBehind   Live = "not yet picked up"  // older than what the store has
	LiveRestart  Live = "restart needed"     // not what its own folder has
	LiveDiskPast Live = "newer than on disk" // newer than what is on the disk
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
	// Remedy says how a certificate of a store that is due is renewed.
	Remedy *pki.Remedy `json:"remedy,omitempty"`
}

// Report lists certificates with their states.
type Report struct {
	SchemaVersion int               `json:"schema_version"`
	Certificates  []Row             `json:"certificates"`
	Summary       map[pki.State]int `json:"summary"` // how many are in each state
}

// New makes a report of what is on the disk and what servers present.
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

// Due returns how many certificates are not as they should be.
func (r Report) Due() int {
	n := 0
	for _, row := range r.Certificates {
		if row.State != pki.StateOK || row.Live == LiveBehind || row.Live == LiveRestart {
			n++
		}
	}
	return n
}

// Unreadable returns how many certificates could not be read.
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
	InStore bool // it is in an operator's store, and not where a server reads it
}

// Read returns the certificates of a store, a folder or a file. Each is a row, also one that
// cannot be read; a target without any is an error.
func Read(ctx context.Context, target string, now time.Time) ([]Held, error) {
	spec := filepath.Join(target, pki.SpecName)
	var found []pki.Status
	_, err := os.Stat(spec)
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
		return nil, fmt.Errorf("%s has no certificate: no file that ends in .crt, .pem, .cer or .cert", target)
	}
	held := make([]Held, 0, len(found))
	for _, s := range found {
		held = append(held, Held{s, inStore})
	}
	return held, nil
}
