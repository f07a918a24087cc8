package audit

import "time"

// HostSettings is a [Target] that holds the settings of one etcd on a host, and of the API server on the
// same host. If there is no etcd, it holds only those of the API server.
type HostSettings struct {
	Address string    // "host:origin", "host:path" of what was not read, or the path of a file that was given
	Now     time.Time // when they were read
	Paths
	Observer

	MinTLSVersion uint16    // the lowest version they may allow; 0 means TLS 1.2
	Settings      *Settings // nil if they were not read
	Unread        string    // why they were not read, where Settings is nil
	Elsewhere     []Fault   // the listeners that only the processes of their host reach, and that were not audited
}

// Identity implements Subject.
func (h *HostSettings) Identity() (address string, kind Kind) { return h.Address, Config }

// Place implements Subject.
func (h *HostSettings) Place() Place {
	p := h.place()
	p.OnHost = h.hostOf(h.Settings != nil && h.Address == h.Settings.Origin) // a file that was given alone
	if h.Settings != nil {
		p.takeAdvertised(h.Settings)
	}
	return p
}

// Unreached implements Target.
func (h *HostSettings) Unreached() string {
	if h.Settings != nil || h.Unread == "" {
		return ""
	}
	return "it was not read: " + h.Unread
}
