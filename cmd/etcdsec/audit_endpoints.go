package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
)

// auditEndpoints are the listeners to audit: those of the spec, then those of the list, then
// those of the command line. All faults are reported at once.
func (a *app) auditEndpoints(flags auditRunFlags) ([]collect.Endpoint, error) {
	minTLS, err := minTLSVersion(flags.minTLS)
	if err != nil {
		return nil, usageError(err, "")
	}
	if flags.spec == "-" && flags.targets == "-" {
		return nil, usageError(errors.New("-f - with --targets -: standard input is one of them"), "")
	}
	var endpoints []collect.Endpoint
	if flags.spec != "" {
		endpoints, err = a.specEndpoints(flags.spec, minTLS)
		if err != nil {
			return nil, err
		}
	}

	listed, err := a.loadTargets(flags.targets)
	if err != nil {
		return nil, err
	}

	var faults []error
	seen := map[string]bool{}
	for _, e := range endpoints {
		seen[e.Address] = true
	}
	for _, e := range listed {
		if seen[e.Address] {
			faults = append(faults, fmt.Errorf("--targets: %s is in the spec too", e.Address))
		}
		seen[e.Address] = true
		e.MinTLSVersion = minTLS
		endpoints = append(endpoints, e)
	}
	for _, list := range []struct {
		kind    audit.Kind
		origin  string
		written []string
	}{
		{audit.Client, "", flags.endpoints},
		{audit.Peer, "--peer: ", flags.peers},
		{audit.Metrics, "--metrics: ", flags.metrics},
		{audit.APIServer, "--apiserver: ", flags.apiServers},
		{audit.Kubelet, "--kubelet: ", flags.kubelets},
	} {
		for _, written := range list.written {
			address, err := collect.ParseAddress(written)
			switch {
			case err != nil:
				faults = append(faults, fmt.Errorf("%s%w", list.origin, err))
			case seen[address]:
				faults = append(faults, fmt.Errorf("%sendpoint %q: %s is listed twice", list.origin, written, address))
			default:
				seen[address] = true
				endpoints = append(endpoints, collect.Endpoint{Address: address, Kind: list.kind, MinTLSVersion: minTLS})
			}
		}
	}
	if len(faults) > 0 {
		return nil, usageError(errors.Join(faults...), "etcdsec audit run 10.0.0.11:2379 --peer 10.0.0.11:2380")
	}
	return endpoints, nil
}

// secureAPIPort is where an API server of a spec listens: kube-apiserver's default.
const secureAPIPort = 6443

// specEndpoints are every member's ports at the address it advertises, then the API servers.
func (a *app) specEndpoints(path string, minTLS uint16) ([]collect.Endpoint, error) {
	c, err := a.loadSpec(path)
	if err != nil {
		return nil, err
	}
	if minTLS == 0 {
		minTLS = c.Etcd.TLSMinVersion
	}
	var endpoints []collect.Endpoint
	for _, m := range c.Etcd.Members {
		var names []string
		for _, address := range m.Addresses {
			names = append(names, address.String())
		}
		for _, listener := range []struct {
			kind audit.Kind
			port uint16
		}{{audit.Client, c.Etcd.ClientPort}, {audit.Peer, c.Etcd.PeerPort}, {audit.Metrics, c.Etcd.MetricsPort}} {
			endpoints = append(endpoints, collect.Endpoint{
				Address:       net.JoinHostPort(m.Advertised().String(), strconv.Itoa(int(listener.port))),
				Kind:          listener.kind,
				ExpectedNames: names,
				MinTLSVersion: minTLS,
				ClusterName:   c.Name,
			})
		}
	}
	for _, host := range c.APIServers {
		endpoints = append(endpoints, collect.Endpoint{
			Address:     net.JoinHostPort(host.Addresses[0].String(), strconv.Itoa(secureAPIPort)),
			Kind:        audit.APIServer,
			ClusterName: c.Name,
		})
	}
	return endpoints, nil
}

// minTLSVersion reads --min-tls. 0 is not given.
func minTLSVersion(s string) (uint16, error) {
	switch s {
	case "":
		return 0, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	default:
		return 0, fmt.Errorf("--min-tls %q: want 1.2 or 1.3", s)
	}
}
