package collect

import (
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect/host"
)

// HostConfig selects what to audit on a host, in addition to what an operator gave.
type HostConfig struct {
	Given         []Endpoint // by the operator
	Mounted       bool       // the host is the mounted root of another or a stopped machine
	MinTLSVersion uint16     // of the host's own endpoints; 0 is TLS 1.2
	Now           time.Time
}

// HostAudit holds what there is to audit on a host.
type HostAudit struct {
	// Endpoints are the given ones, with their settings if they belong to the host, and then
	// the host's own.
	Endpoints []Endpoint
	// Settings are judged without a network: those of each etcd, or of the API server if the
	// host has no etcd. What was found and could not be read is among them.
	Settings []*audit.HostSettings
	// Unseen are the listeners of running etcds that cannot be observed from here.
	Unseen []*audit.Listener
}

// HostTargets returns what there is to audit on a host.
func HostTargets(h *host.Host, c HostConfig) HostAudit {
	var configs []*audit.HostSettings
	config := func(s *audit.Settings) {
		configs = append(configs, SettingsTarget(s, c.MinTLSVersion, c.Now))
	}
	for _, s := range h.Etcds {
		config(s)
	}
	listeners := h.Listeners
	if len(h.Etcds) == 0 {
		if h.APIServer != nil { // else it is judged with each etcd
			config(h.APIServer)
		}
		listeners = slices.Concat(listeners, h.ServersOfAPIServer())
	}
	endpoints := slices.Clone(c.Given)
	for _, l := range listeners {
		endpoints = c.add(endpoints, l)
	}
	for _, f := range h.Missed {
		configs = append(configs, UnreadTarget(h.Name, f.Subject, f.Reason, c.Now))
	}
	return HostAudit{Endpoints: endpoints, Settings: configs, Unseen: unseen(h.Unreached)}
}

// UnreadTarget returns the target of settings that are on a host and were not read.
func UnreadTarget(hostname, subject, reason string, now time.Time) *audit.HostSettings {
	return &audit.HostSettings{Address: hostname + ":" + subject, Now: now, Unread: reason}
}

// unseen returns the listeners of etcds that run and cannot be dialled from here. One whose etcd
// does not run does not exist.
func unseen(unreached []host.Unreached) []*audit.Listener {
	var listeners []*audit.Listener
	for _, u := range unreached {
		if u.Of.Running {
			l := audit.UnseenListener(u.Of.Host+":"+u.URL, u.Kind, u.Reason)
			l.Settings = u.Of
			listeners = append(listeners, l)
		}
	}
	return listeners
}

// add adds a listener of the host to the endpoints. A listener found only in the files of a
// mounted root is not dialled: another server may use its address.
func (c HostConfig) add(endpoints []Endpoint, l host.Listener) []Endpoint {
	at := slices.IndexFunc(endpoints, func(e Endpoint) bool { return e.Address == l.Address })
	switch {
	case l.Socket != "":
		return append(endpoints, Endpoint{
			Address: l.Address, Socket: l.Socket, SocketPath: l.SocketPath, Kind: l.Kind, MinTLSVersion: c.MinTLSVersion, Settings: l.Of,
		})
	case at >= 0 && l.Kind != audit.APIServer:
		endpoints[at].Settings = l.Of
	case at >= 0 || c.Mounted && (l.Of == nil || !l.Of.Running):
	default:
		e := Endpoint{Address: l.Address, Kind: l.Kind, ExpectedNames: l.Names, MinTLSVersion: c.MinTLSVersion}
		if l.Kind != audit.APIServer {
			e.Settings = l.Of
		}
		return append(endpoints, e)
	}
	return endpoints
}

// SettingsTarget returns the target for the settings of a host.
func SettingsTarget(s *audit.Settings, minTLSVersion uint16, now time.Time) *audit.HostSettings {
	return &audit.HostSettings{Address: s.Host + ":" + s.Origin, Now: now, MinTLSVersion: minTLSVersion, Settings: s}
}
