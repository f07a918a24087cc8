package collect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
)

// SecureAPIPort is the port of a spec's API servers: kube-apiserver's default.
const SecureAPIPort = 6443

// SpecEndpoints returns the ports of every member of a spec, at its advertised address, and then
// those of the API servers. If minTLS is 0, the version of the spec applies.
func SpecEndpoints(c *cluster.Cluster, minTLS uint16) []Endpoint {
	if minTLS == 0 {
		minTLS = c.Etcd.TLSMinVersion
	}
	var endpoints []Endpoint
	for _, m := range c.Etcd.Members {
		var names []string
		for _, address := range m.Addresses {
			names = append(names, address.String())
		}
		for _, listener := range []struct {
			kind audit.Kind
			port uint16
		}{{audit.Client, c.Etcd.ClientPort}, {audit.Peer, c.Etcd.PeerPort}, {audit.Metrics, c.Etcd.MetricsPort}} {
			endpoints = append(endpoints, Endpoint{
				Address:       net.JoinHostPort(m.Advertised().String(), strconv.Itoa(int(listener.port))),
				Kind:          listener.kind,
				ExpectedNames: names,
				MinTLSVersion: minTLS,
				ClusterName:   c.Name,
			})
		}
	}
	for _, host := range c.APIServers {
		endpoints = append(endpoints, Endpoint{
			Address:     net.JoinHostPort(host.Addresses[0].String(), strconv.Itoa(SecureAPIPort)),
			Kind:        audit.APIServer,
			ClusterName: c.Name,
		})
	}
	return endpoints
}

// Given holds endpoints of one kind, as an operator wrote them.
type Given struct {
	Kind    audit.Kind
	Origin  string   // how errors begin, such as "--peer: "; may be empty
	Written []string // as ParseAddress reads them
}

// Gather joins the endpoints of a spec, of a list and those that were given, in this order. Each
// address may occur once; the error joins all faults. minTLS applies to the endpoints that are
// not in the spec.
func Gather(spec, listed []Endpoint, given []Given, minTLS uint16) ([]Endpoint, error) {
	var faults []error
	endpoints := spec
	seen := map[string]bool{}
	for _, e := range spec {
		seen[e.Address] = true
	}
	for _, e := range listed {
		if seen[e.Address] {
			faults = append(faults, fmt.Errorf("--targets: %s is also in the spec", e.Address))
		}
		seen[e.Address] = true
		e.MinTLSVersion = minTLS
		endpoints = append(endpoints, e)
	}
	for _, g := range given {
		for _, written := range g.Written {
			address, err := ParseAddress(written)
			switch {
			case err != nil:
				faults = append(faults, fmt.Errorf("%s%w", g.Origin, err))
			case seen[address]:
				faults = append(faults, fmt.Errorf("%sendpoint %q: %s is listed twice", g.Origin, written, address))
			default:
				seen[address] = true
				endpoints = append(endpoints, Endpoint{Address: address, Kind: g.Kind, MinTLSVersion: minTLS})
			}
		}
	}
	return endpoints, errors.Join(faults...)
}

// ParseTLSVersion reads the lowest allowed version of TLS: "1.2" or "1.3". An empty text gives 0.
func ParseTLSVersion(written string) (uint16, error) {
	switch written {
	case "":
		return 0, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	default:
		return 0, fmt.Errorf("%q: want 1.2 or 1.3", written)
	}
}
