package audit

import (
	"net/url"
	"slices"
	"time"
)

// StoredData is a [Target] that holds the [Census] of the objects in a store.
type StoredData struct {
	Address string    // the endpoints or the file that was read
	Now     time.Time // when it was read
	Paths
	Observer
	Endpoints  []string // the client URLs, as the operator gave them; nil for a file
	ConfigPath string   // the EncryptionConfiguration that the operator named; empty if none

	Census *Census // nil if the store was not read
}

// Identity implements Subject.
func (d *StoredData) Identity() (address string, kind Kind) { return d.Address, Data }

// Place implements Subject.
func (d *StoredData) Place() Place {
	p := d.place()
	p.OnHost = d.hostOf(d.isLocal())
	p.EndpointURLs, p.ConfigPath = d.Endpoints, d.ConfigPath
	return p
}

// isLocal reports whether the store is a file, or an endpoint that is a different one on every host.
func (d *StoredData) isLocal() bool {
	if len(d.Endpoints) == 0 {
		return true
	}
	return slices.ContainsFunc(d.Endpoints, func(written string) bool {
		u, err := url.Parse(written)
		return isLocalAddress(written) || err == nil && isLocalAddress(u.Host)
	})
}

// Unreached implements Target. A [Census] has its own reason if it is incomplete.
func (d *StoredData) Unreached() string { return "" }
