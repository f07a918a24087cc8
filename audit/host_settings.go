package audit

import "time"

// HostSettings is a [Target] that holds the settings of one etcd on a host, and of the API server on the
// same host. If there is no etcd, it holds only those of the API server.
type HostSettings struct {
	Address string    // "host:origin", or the path of a file that was given
	Now     time.Time // when they were read
	Paths

	MinTLSVersion uint16    // the lowest version they may allow; 0 means TLS 1.2
	Settings      *Settings // nil if they were not read
}

// Identity implements Subject.
func (h *HostSettings) Identity() (address string, kind Kind) { return h.Address, Config }

// Place implements Subject.
func (h *HostSettings) Place() Place {
	p := h.place()
	if h.Settings != nil {
		p.takeAdvertised(h.Settings)
	}
	return p
}

// Unreached implements Target. Settings are read without a connection.
func (h *HostSettings) Unreached() string { return "" }
